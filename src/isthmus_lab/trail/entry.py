"""One recorded call, kept raw and small, and written out as CloudTrail's event when somebody asks for it.

Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element" (event version 1.11).
"""

import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from isthmus_lab.call import Notes
from isthmus_lab.trail.parameters import RawRequest, read_parameters
from isthmus_lab.world import Principal

_READ = (
    "Get",
    "List",
    "Describe",
    "Lookup",
    "Head",
    "Search",
    "BatchGet",
    "AssumeRole",
    "Select",
    "Simulate",
    "Validate",
    "View",
    "Check",
    "Estimate",
    "Preview",
    "Discover",
    "Test",
)
_EVENT_NAMES = {"ListAllMyBuckets": "ListBuckets"}
"""IAM actions that are spelled unlike the API, which CloudTrail names."""

_RESOURCES = {
    "roleName": "AWS::IAM::Role",
    "userName": "AWS::IAM::User",
    "policyArn": "AWS::IAM::Policy",
    "bucketName": "AWS::S3::Bucket",
    "instanceId": "AWS::EC2::Instance",
    "groupId": "AWS::EC2::SecurityGroup",
    "vpcId": "AWS::EC2::VPC",
    "stackName": "AWS::CloudFormation::Stack",
    "functionName": "AWS::Lambda::Function",
    "tableName": "AWS::DynamoDB::Table",
    "keyId": "AWS::KMS::Key",
}
"""Parameter to the type of the resource that it names, for the resource attributes of LookupEvents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """`number` counts all records of the lab, `series` is the upper half of their event ids. `at` is epoch seconds. `twin` is the number
    of the record that another account got of the same call; `is_foreign` says that this one belongs to the account that did not call."""

    number: int
    series: int
    at: float
    account: str
    region: str
    service: str
    action: str
    principal: Principal | None
    notes: Notes
    request: RawRequest
    source: str
    agent: str
    host: str
    request_id: str
    error_code: str = ""
    error_message: str = ""
    twin: int | None = None
    is_foreign: bool = False

    @property
    def event_id(self) -> str:
        """The event's id; `number_of` finds the number in it."""
        return str(uuid.UUID(int=(self.series << 64) | self.number, version=4))

    @property
    def event_name(self) -> str:
        """Name of the API operation."""
        return _EVENT_NAMES.get(self.action, self.action)

    @property
    def event_source(self) -> str:
        """The service's host name."""
        return f"{self.service}.amazonaws.com"

    @property
    def is_read_only(self) -> bool:
        """Whether the operation changes nothing."""
        return self.action.startswith(_READ)

    @property
    def access_key(self) -> str:
        """Key of the caller, empty for calls without one."""
        return self.principal.key if self.principal is not None and not self.is_foreign else ""

    @property
    def user_name(self) -> str:
        """What LookupEvents calls the user: session name, user name, federated subject or `root`."""
        if self.principal is None:
            return str((self.notes.identity or {}).get("userName", ""))
        return "root" if self.principal.kind == "Root" else self.principal.arn.rpartition("/")[2]

    def resources(self) -> list[tuple[str, str]]:
        """Pairs of type and name of what the call is about."""
        if self.notes.resources:
            return list(self.notes.resources)
        shown = self.parameters() or {}
        return [(kind, str(shown[name])) for name, kind in _RESOURCES.items() if isinstance(shown.get(name), str)]

    def is_about(self, *, kind: str = "", name: str = "") -> bool:
        """Whether a resource of the type or of the name is among `resources`; most records are told apart without reading parameters."""
        if not self.notes.resources and self.notes.parameters is None:
            body, bare = self.request.body or b"", f"{self.request.path}?{self.request.query}"
            words = [name, quote_plus(name)] if name else [word[1:] for word, one in _RESOURCES.items() if one == kind]
            is_bucket = kind == "AWS::S3::Bucket" and self.service == "s3"
            if not is_bucket and not any(word in bare or word.encode() in body for word in words):
                return False
        return any(kind in ("", one) and name in ("", called) for one, called in self.resources())

    def parameters(self) -> dict[str, Any] | None:
        """CloudTrail's `requestParameters`, secrets left out."""
        return (
            dict(self.notes.parameters) if self.notes.parameters is not None else read_parameters(self.service, self.action, self.request)
        )

    def event(self) -> dict[str, Any]:
        """The whole event, as a log file holds it."""
        error = {"errorCode": self.error_code, "errorMessage": self.error_message} if self.error_code else {}
        extra = {"additionalEventData": dict(self.notes.extra)} if self.notes.extra else {}
        shared = {"sharedEventID": str(uuid.UUID(int=(self.series << 64) | min(self.twin, self.number), version=5))} if self.twin else {}
        found = [{"type": kind, "ARN": name, "accountId": self.account} for kind, name in self.notes.resources if name.startswith("arn:")]
        return {
            "eventVersion": "1.11",
            "userIdentity": self.identity(),
            "eventTime": _time(self.at),
            "eventSource": self.event_source,
            "eventName": self.event_name,
            "awsRegion": self.region,
            "sourceIPAddress": self.source,
            "userAgent": self.agent,
            **error,
            "requestParameters": self.parameters(),
            "responseElements": dict(self.notes.elements) if self.notes.elements is not None else None,
            **extra,
            "requestID": self.request_id,
            "eventID": self.event_id,
            "readOnly": self.is_read_only,
            **({"resources": found} if found else {}),
            "eventType": "AwsConsoleSignIn" if self.service == "signin" else "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self.account,
            **shared,
            "eventCategory": "Management",
            "tlsDetails": {"clientProvidedHostHeader": self.host},
        }

    def identity(self) -> dict[str, Any]:
        """CloudTrail's `userIdentity`."""
        who = self.principal
        if who is None:
            return dict(self.notes.identity or {})
        if self.is_foreign:
            return {"type": "AWSAccount", "principalId": who.id, "accountId": who.account}
        known = {"principalId": who.id, "arn": who.arn, "accountId": who.account, "accessKeyId": who.key}
        match who.kind:
            case "Root":
                return {"type": "Root", **known}
            case "User":
                context = {"sessionContext": {"attributes": _attributes(who.issued_at)}} if who.issued_at is not None else {}
                return {"type": "IAMUser", **known, "userName": who.arn.rpartition("/")[2], **context}
            case "AssumedRole":
                return {"type": "AssumedRole", **known, "sessionContext": _role_context(who)}
        return {"type": who.kind, **known, "sessionContext": {"attributes": _attributes(who.issued_at or self.at)}}


def number_of(event_id: str, series: int) -> int | None:
    """The number of the record with an event id, None for an id of another series or none at all."""
    try:
        value = uuid.UUID(event_id).int
    except ValueError:
        return None
    number = value & ((1 << 62) - 1)
    return number if str(uuid.UUID(int=(series << 64) | number, version=4)) == event_id else None


def _role_context(who: Principal) -> dict[str, Any]:
    issuer = {
        "type": "Role",
        "principalId": who.id.partition(":")[0],
        "arn": who.role_arn,
        "accountId": who.account,
        "userName": who.role_arn.rpartition("/")[2],
    }
    is_web = ":oidc-provider/" in who.provider
    federated = {"federatedProvider": who.provider, "attributes": {}} if is_web else {}
    identity = {"sourceIdentity": who.source_identity} if who.source_identity else {}
    return {"sessionIssuer": issuer, "webIdFederationData": federated, "attributes": _attributes(who.issued_at or 0), **identity}


def _attributes(issued_at: float) -> dict[str, str]:
    return {"creationDate": _time(issued_at), "mfaAuthenticated": "false"}


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
