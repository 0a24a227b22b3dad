"""An AWS account small enough to read, behind boto3's client interface; botocore's models judge every parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

ACCOUNT = "123456789012"
OURS = f"arn:aws:iam::{ACCOUNT}:instance-profile/IsthmusMachine-3f2504e0"
OLD = datetime(2026, 1, 1, tzinfo=UTC)

_MODELS: dict[str, Any] = {}


def model_of(service: str) -> Any:
    if service not in _MODELS:
        _MODELS[service] = botocore.session.get_session().get_service_model(service)
    return _MODELS[service]


def refusal(code: str, message: str = "refused") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass(kw_only=True)
class Region:
    """State of one region. `nodes` maps instance ids to what DescribeInstanceInformation says."""

    instances: list[dict[str, Any]] = field(default_factory=list)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    host_management: str = "$None"
    documents: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class FakeAws:
    """`profiles` maps names to (id, role name or None); `roles` says which may register with Systems Manager.

    `failures` maps (region, operation) to an error, or to a function of the parameters that gives one or None.
    """

    regions: dict[str, Region] = field(default_factory=dict)
    profiles: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    roles: dict[str, bool] = field(default_factory=dict)
    attached: list[tuple[str, str]] = field(default_factory=list)
    failures: dict[tuple[str, str], ClientError | Callable[[dict[str, Any]], ClientError | None]] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def client(self, service: str, region: str) -> FakeClient:
        return FakeClient(self, service, region)

    def add(self, region: str, id_: str, *, profile: str = "", state: str = "running", imds: str = "enabled", **tags: str) -> None:
        instance: dict[str, Any] = {
            "InstanceId": id_,
            "State": {"Name": state},
            "MetadataOptions": {"HttpEndpoint": imds},
            "LaunchTime": OLD,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        if profile:
            known = self.profiles.get(profile)
            instance["IamInstanceProfile"] = {
                "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{profile}",
                "Id": known[0] if known else "AIPA-GONE",
            }
        self.regions.setdefault(region, Region()).instances.append(instance)

    def count(self, operation: str) -> int:
        return sum(1 for _, called, _ in self.calls if called == operation)

    def instance(self, region: str, id_: str) -> dict[str, Any]:
        return next(one for one in self.regions[region].instances if one["InstanceId"] == id_)

    def ec2_describe_regions(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"Regions": [{"RegionName": name} for name in self.regions]}

    def ec2_describe_instances(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        start, size = int(params.get("NextToken", 0)), params["MaxResults"]
        found = self.regions[region].instances
        page: dict[str, Any] = {"Reservations": [{"Instances": [one]} for one in found[start : start + size]]}
        return page | ({"NextToken": str(start + size)} if start + size < len(found) else {})

    def ec2_describe_iam_instance_profile_associations(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        (id_,) = params["Filters"][0]["Values"]
        profile = self.instance(region, id_).get("IamInstanceProfile")
        found = [{"AssociationId": f"iip-assoc-{id_}", "InstanceId": id_, "IamInstanceProfile": profile, "State": "associated"}]
        return {"IamInstanceProfileAssociations": found if profile else []}

    def ec2_associate_iam_instance_profile(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        instance = self.instance(region, params["InstanceId"])
        if instance["State"]["Name"] not in ("running", "stopped"):
            raise refusal("IncorrectInstanceState")
        if "IamInstanceProfile" in instance:
            raise refusal("IncorrectState")
        return self._give(instance, params["IamInstanceProfile"]["Name"])

    def ec2_replace_iam_instance_profile_association(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        return self._give(self.instance(region, params["AssociationId"].removeprefix("iip-assoc-")), params["IamInstanceProfile"]["Name"])

    def _give(self, instance: dict[str, Any], name: str) -> dict[str, Any]:
        instance["IamInstanceProfile"] = {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}", "Id": self.profiles[name][0]}
        return {"IamInstanceProfileAssociation": {"IamInstanceProfile": instance["IamInstanceProfile"]}}

    def iam_get_instance_profile(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        if params["InstanceProfileName"] not in self.profiles:
            raise refusal("NoSuchEntity")
        id_, role = self.profiles[params["InstanceProfileName"]]
        roles = [{"RoleName": role, "Arn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}] if role else []
        return {"InstanceProfile": {"InstanceProfileId": id_, "Roles": roles}}

    def iam_simulate_principal_policy(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        decision = "allowed" if self.roles[params["PolicySourceArn"].rsplit("/", 1)[1]] else "implicitDeny"
        return {"EvaluationResults": [{"EvalActionName": name, "EvalDecision": decision} for name in params["ActionNames"]]}

    def iam_attach_role_policy(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        self.attached.append((params["RoleName"], params["PolicyArn"]))
        return {}

    def ssm_get_service_setting(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"ServiceSetting": {"SettingValue": self.regions[region].host_management}}

    def ssm_describe_instance_information(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"InstanceInformationList": [{"InstanceId": id_, **node} for id_, node in self.regions[region].nodes.items()]}

    def ssm_get_document(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        if params["Name"] not in self.regions[region].documents:
            raise refusal("InvalidDocument")
        return {"Content": self.regions[region].documents[params["Name"]]}

    def ssm_create_document(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        self.regions[region].documents[params["Name"]] = params["Content"]
        return {}

    def ssm_update_document(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        self.regions[region].documents[params["Name"]] = params["Content"]
        return {"DocumentDescription": {"DocumentVersion": "2"}}

    def ssm_update_document_default_version(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        assert params["DocumentVersion"] == "2"
        return {}

    def ssm_delete_document(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        if self.regions[region].documents.pop(params["Name"], None) is None:
            raise refusal("InvalidDocument")
        return {}

    def lambda_invoke(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"StatusCode": 202}


@dataclass(frozen=True, kw_only=False)
class FakeClient:
    """One boto3 client: `client.some_operation(**params)` and paginators."""

    aws: FakeAws
    service: str
    region: str

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        model = model_of(self.service)
        operation = {name.lower(): name for name in model.operation_names}[method.replace("_", "")]

        def call(**params: Any) -> dict[str, Any]:
            validate_parameters(params, model.operation_model(operation).input_shape)
            self.aws.calls.append((self.region, f"{self.service}:{operation}", params))
            failure = self.aws.failures.get((self.region, f"{self.service}:{operation}"))
            error = failure(params) if callable(failure) else failure
            if error is not None:
                raise error
            answer: dict[str, Any] = getattr(self.aws, f"{self.service}_{method}")(self.region, params)
            return answer

        return call

    def get_paginator(self, method: str) -> Any:
        call = getattr(self, method)

        class Paginator:
            def paginate(self, PaginationConfig: dict[str, int]) -> list[dict[str, Any]]:
                return [call(MaxResults=PaginationConfig["PageSize"])]

        return Paginator()
