"""What the adapter relies on inside ministack, one function per point. Run in a scrubbed process by test_adapter.py.

Prints one JSON object {point: null or what is wrong}.
"""

import asyncio
import importlib.metadata
import inspect
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import ministack.app as engine
from ministack.core import iam_actions, iam_evaluator, responses, router
from ministack.services import cloudtrail, ec2, iam, s3, ssm, sts
from ministack.services.cloudformation import provisioners

from isthmus_lab.adapter import adapter as hooks
from isthmus_lab.adapter.iam import WEB_IDENTITY
from isthmus_lab.adapter.sessions import Origin
from isthmus_lab.call import Call, begin, end

ACCOUNT, REGION = "123456789012", "eu-west-1"


def names(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def point_version() -> None:
    assert importlib.metadata.version("ministack") == hooks.MINISTACK


def point_handlers() -> None:
    assert {"ec2", "iam", "sts", "ssm"} <= set(engine.SERVICE_HANDLERS)
    assert all(inspect.iscoroutinefunction(engine.SERVICE_HANDLERS[name]) for name in ("ec2", "iam", "sts", "ssm"))
    assert names(engine.SERVICE_HANDLERS["ec2"]) == ["method", "path", "headers", "body", "query_params"]


def point_handlers_are_looked_up_per_call() -> None:
    assert "SERVICE_HANDLERS.get(service)" in inspect.getsource(engine._dispatch_service_request)


def point_action_extraction() -> None:
    source = inspect.getsource(engine._dispatch_service_request)
    assert "extract_iam_action," in source
    assert "iam_action is None and (failure := _authenticate_only" in source
    headers = {"x-amz-target": "AmazonSSM.SendCommand"}
    assert iam_actions.extract_iam_action("ssm", "POST", "/", headers, b"{}", {}) == "ssm:SendCommand"


def point_resource_extraction() -> None:
    source = inspect.getsource(engine._dispatch_service_request)
    assert "            extract_resource_arn,\n" in source, "imported per call"
    assert "service, method, path, headers, body, routing_params, region, get_account_id()" in source
    plain = iam_actions.extract_resource_arn
    subject.requests.name_resources(lambda action, parameter, body, region, account: f"{action} {parameter('Name')} {region} {account}")
    found = iam_actions.extract_resource_arn("ec2", "POST", "/", {}, b"", {"Action": ["DescribeVpcs"], "Name": ["n"]}, REGION, ACCOUNT)
    iam_actions.extract_resource_arn = plain
    assert found == f"ec2:DescribeVpcs n {REGION} {ACCOUNT}", found
    with subject.within(ACCOUNT, REGION):
        ec2._iam_instance_profile_associations["iip-assoc-1"] = {"InstanceId": "i-1"}
        assert subject.ec2.instance_of_association("iip-assoc-1") == "i-1"
        assert subject.ec2.instance_of_association("iip-assoc-2") is None
        ec2._iam_instance_profile_associations.clear()


def point_identify() -> None:
    signed = {
        "authorization": f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/ec2/aws4_request, SignedHeaders=host, Signature=0",
        "content-type": "application/x-www-form-urlencoded",
    }
    found = subject.requests.identify("POST", "/", signed, b"Action=DescribeVpcs&Version=2016-11-15", {})
    assert found == ("ec2", "DescribeVpcs", REGION, ACCOUNT), found
    assert subject.requests.account_of_key(ACCOUNT) == ACCOUNT
    assert router.extract_region({}, {}) == "us-east-1"


def point_context() -> None:
    with subject.within(ACCOUNT, REGION):
        assert (subject.account(), subject.region()) == (ACCOUNT, REGION)
    assert responses.get_account_id() == "000000000000"


def point_patterns() -> None:
    assert names(iam_evaluator.fnmatch_iam) == ["value", "pattern"]
    assert iam_evaluator._action_matches("ec2:DescribeVpcs", ["s3:*", "EC2:describe*"], [])
    assert not iam_evaluator._action_matches("ec2:DescribeVpcs", ["ec2:DescribeVpc"], [])
    known = iam_evaluator.fnmatch_iam.cache_info()
    assert iam_evaluator._action_matches("ec2:DescribeVpcs", ["s3:*", "EC2:describe*"], [])
    assert iam_evaluator.fnmatch_iam.cache_info().hits == known.hits + 2, "matching goes another way"


def point_errors() -> None:
    assert "UnrecognizedClientException" in iam_actions._AUTH_FAILURES
    status, _, body = subject.error("ec2", "UnrecognizedClientException", "no", 400, {})
    assert (status, b"<Code>AuthFailure</Code>" in body) == (401, True)
    status, _, body = subject.error("dynamodb", "ThrottlingException", "slow", 400, {"x-amz-target": "DynamoDB_20120810.ListTables"})
    assert (status, json.loads(body)["__type"]) == (400, "ThrottlingException")


def point_instances() -> None:
    with subject.within(ACCOUNT, REGION):
        record: dict[str, Any] = ec2._launch_instances_internal("ami-0fedcba9876543210", "t3.micro", ec2._DEFAULT_SUBNET_ID, 1)[0]
        subject.ec2.tag_resource(record["InstanceId"], [{"Key": "arc", "Value": "yes"}])
        assert subject.ec2.instance_record(record["InstanceId"]) is record
        assert "<platform>" not in ec2._instance_xml(record)
        assert ec2._instance_xml(record).rstrip().endswith("</item>")
    one = subject.instance(ACCOUNT, REGION, record["InstanceId"])
    assert one is not None
    assert (one.state, one.platform, dict(one.tags), one.profile_arn) == ("running", "windows", {"arc": "yes"}, None)
    assert abs(one.launched_at - time.time()) < 60
    assert subject.instances(ACCOUNT, REGION) == subject.every_instance() == [one]
    record["State"] = {"Code": 48, "Name": "terminated"}
    assert subject.instances(ACCOUNT, REGION) == []
    ec2._instances.clear()


def point_instance_xml_is_looked_up_per_call() -> None:
    assert "_instance_xml(inst)" in inspect.getsource(ec2._describe_instances)


def point_regions() -> None:
    assert ("me-south-1", "opted-in") in ec2._AWS_REGIONS
    assert "_AWS_REGIONS" in inspect.getsource(ec2._describe_regions)


def role(name: str, policy: dict[str, object], trust: dict[str, object] | None = None) -> dict[str, object]:
    document = json.dumps(trust or {})
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    record = {"RoleName": name, "Arn": arn, "RoleId": "AROAX", "AssumeRolePolicyDocument": document, "MaxSessionDuration": 3600}
    record |= {"AttachedPolicies": [], "InlinePolicies": {"p": json.dumps(policy)}, "Tags": []}
    with subject.within(ACCOUNT, REGION):
        iam._roles[name] = record
    return record


def allow(action: str, resource: str = "*") -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}


def point_role_policies() -> None:
    role("Machine", allow("ssm:UpdateInstanceInformation"))
    assert subject.role_allows(ACCOUNT, "Machine", "ssm:UpdateInstanceInformation", REGION)
    assert not subject.role_allows(ACCOUNT, "Machine", "ssm:SendCommand", REGION)
    assert not subject.role_allows(ACCOUNT, "Nobody", "ssm:UpdateInstanceInformation", REGION)


def point_profiles() -> None:
    role("Machine", allow("ssm:*"))
    with subject.within(ACCOUNT, REGION):
        iam._instance_profiles["P"] = {"InstanceProfileName": "P", "Roles": ["Machine"], "InstanceProfileId": "AIPA"}
    assert subject.iam.profile_role(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:instance-profile/P") == "Machine"
    assert subject.iam.profile_role(ACCOUNT, "missing") is None
    with subject.within(ACCOUNT, REGION):
        created = provisioners._RESOURCE_HANDLERS["AWS::IAM::InstanceProfile"]["create"]("L", {"Roles": ["Machine"]}, "stack")[0]
    assert subject.iam.profile_role(ACCOUNT, created) == "Machine"


def point_sessions() -> None:
    role("Reader", allow("ec2:Describe*"))
    credentials = subject.role_credentials(ACCOUNT, "Reader", "i-1", 900)
    assert sts._sessions[credentials.access_key]["AccountId"] == ACCOUNT
    assert subject.requests.account_of_key(credentials.access_key) == ACCOUNT
    assert {"secret": credentials.secret_key, "token": credentials.token} in subject.sessions.open_secrets()
    assert "secret" not in repr(credentials).replace("secrets hidden", "")
    with subject.within(ACCOUNT, REGION):
        token = begin(Call(key=credentials.access_key))
        assert subject.caller_arn() == f"arn:aws:sts::{ACCOUNT}:assumed-role/Reader/i-1"
        end(token)


def point_denial() -> None:
    source = inspect.getsource(iam_evaluator.enforce)
    assert "result = evaluate(ctx, principal.policies" in source
    assert names(iam_evaluator.enforce) == ["access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"]
    assert "identity-based policy allows" in iam_actions.identity_denial_message("a:B", "p", "r", False)


def point_principal_keys() -> None:
    record = role("Keys", allow("*"))
    credentials = subject.sessions.open(record, "s", 900, origin=Origin(keys={"issuer.test:sub": "x"}))
    resolved = iam_evaluator.resolve_credential(credentials.access_key, ACCOUNT)
    assert iam_evaluator._principal_keys(resolved)["issuer.test:sub"] == "x"
    assert sts._principal_keys is iam_evaluator._principal_keys


def point_trust() -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.test"
    condition = {"StringEquals": {"sts:RoleSessionName": "good", "issuer.test:sub": "x"}}
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = f"arn:aws:iam::{ACCOUNT}:role/Reader"
    keys = {"sts:rolesessionname": "good", "issuer.test:sub": "x"}
    assert subject.iam.trusts_provider(document, provider, arn, keys, WEB_IDENTITY)
    assert not subject.iam.trusts_provider(document, provider, arn, {**keys, "sts:rolesessionname": "bad"}, WEB_IDENTITY)
    assert not subject.iam.trusts_provider(document, provider + "/", arn, keys, WEB_IDENTITY)
    assert not subject.iam.trusts_provider(document, provider, arn, keys, "sts:TagSession")
    wider = json.dumps({"Statement": [statement, {**statement, "Action": ["sts:Tag*"], "Condition": {}}]})
    assert subject.iam.trusts_provider(wider, provider, arn, keys, "sts:TagSession")
    assert not subject.iam.trusts_provider(wider, provider, arn, keys, "sts:SetSourceIdentity")
    assert not subject.iam.trusts_provider(wider, provider, arn, {}, WEB_IDENTITY)


def point_trust_of_keys() -> None:
    role("Caller", allow("*"))
    held = subject.role_credentials(ACCOUNT, "Caller", "c", 900)
    origin = Origin(keys={"aws:sourceidentity": "alice"}, source_identity="alice", transitive={"grant": "G"}, provider="arn:p")
    key = subject.sessions.open(role("Caller", allow("*")), "c", 900, origin=origin, tags={"grant": "G"}).access_key
    condition = {"StringEquals": {"aws:SourceIdentity": "alice", "aws:PrincipalTag/grant": "G", "sts:ExternalId": "x"}}
    rule = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/Caller"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Statement": [{**rule, "Condition": condition}]})
    arn = f"arn:aws:iam::{ACCOUNT}:role/Target"
    with subject.within(ACCOUNT, REGION):
        assert subject.iam.trusts_key(document, key, arn, {"sts:externalid": "x"}, "sts:AssumeRole")
        assert not subject.iam.trusts_key(document, held.access_key, arn, {"sts:externalid": "x"}, "sts:AssumeRole")
        assert not subject.iam.trusts_key(document, key, arn, {"sts:externalid": "x"}, "sts:TagSession")
        assert not subject.iam.trusts_key(document, "ASIANOBODY", arn, {"sts:externalid": "x"}, "sts:AssumeRole")


def point_principals() -> None:
    origin = Origin(source_identity="alice", provider="arn:p")
    key = subject.sessions.open(role("Who", allow("*")), "s", 900, origin=origin).access_key
    found = subject.sessions.principal(key, ACCOUNT)
    assert found is not None
    assert (found.kind, found.id, found.account, found.source_identity, found.provider) == (
        "AssumedRole",
        "AROAX:s",
        ACCOUNT,
        "alice",
        "arn:p",
    )
    assert (found.arn, found.role_arn) == (f"arn:aws:sts::{ACCOUNT}:assumed-role/Who/s", f"arn:aws:iam::{ACCOUNT}:role/Who")
    assert abs((found.issued_at or 0) - time.time()) < 60
    root = subject.sessions.principal(ACCOUNT, ACCOUNT)
    assert root is not None
    assert (root.kind, root.arn, root.issued_at) == ("Root", f"arn:aws:iam::{ACCOUNT}:root", None)
    assert subject.sessions.principal("AKIANOBODY", ACCOUNT) is None
    assert subject.sessions.secrets_of(key) is not None
    assert subject.sessions.secrets_of("AKIANOBODY") is None
    assert (subject.sessions.expiry("AKIANOBODY"), subject.sessions.copy("AKIANOBODY", 0)) == (None, None)
    twin = subject.sessions.copy(key, time.time() + 60)
    assert twin is not None
    same = subject.sessions.principal(twin.access_key, ACCOUNT)
    assert same is not None
    assert (same.issued_at, same.source_identity, same.key != key) == (found.issued_at, "alice", True)
    assert subject.sessions.expiry(twin.access_key) == twin.expires_at


def point_saml_providers() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:saml-provider/Entra"
    with subject.within(ACCOUNT, REGION):
        iam._create_saml_provider({"Name": "Entra", "SAMLMetadataDocument": "<x/>"})
    found = subject.iam.saml_provider(ACCOUNT, arn)
    assert found is not None
    assert found["SAMLMetadataDocument"] == "<x/>"
    assert subject.iam.saml_provider("999999999999", arn) is None
    assert (subject.iam.saml_provider_count(ACCOUNT), subject.iam.saml_provider_count("999999999999")) == (1, 0)


def point_managed_policies() -> None:
    with subject.within(ACCOUNT, REGION):
        iam._create_policy({"PolicyName": "P", "PolicyDocument": json.dumps(allow("ec2:*"))})
    arn = f"arn:aws:iam::{ACCOUNT}:policy/P"
    record = subject.iam.managed_policy(ACCOUNT, arn)
    assert record is not None
    assert (record["DefaultVersionId"], record["Versions"]["v1"]["IsDefaultVersion"]) == ("v1", True)
    assert subject.iam.managed_policy("999999999999", arn) is None
    record["Versions"]["v2"] = {**record["Versions"]["v1"], "Document": json.dumps(allow("s3:*"))}
    record["DefaultVersionId"] = "v2"
    assert iam_evaluator._resolve_managed_policy_document(arn, ACCOUNT) == json.dumps(allow("s3:*"))


def point_policy_problem() -> None:
    assert subject.iam.policy_problem("{}", [], ACCOUNT)
    assert subject.iam.policy_problem("", ["arn:aws:iam::aws:policy/Nope"], ACCOUNT)
    assert subject.iam.policy_problem(json.dumps(allow("ec2:*")), ["arn:aws:iam::aws:policy/ReadOnlyAccess"], ACCOUNT) is None


def point_oidc_providers() -> None:
    subject.iam.put_oidc_provider(ACCOUNT, "arn:x", {"Arn": "arn:x", "Url": "https://x"})
    with subject.within(ACCOUNT, REGION):
        assert list(iam._oidc_providers) == ["arn:x"]
    assert list(subject.iam.oidc_providers(ACCOUNT)) == ["arn:x"]
    assert subject.iam.oidc_providers("999999999999") == {}
    assert subject.iam.delete_oidc_provider(ACCOUNT, "arn:x")
    assert not subject.iam.delete_oidc_provider(ACCOUNT, "arn:x")
    assert subject.iam.now_text().endswith("Z")


def point_default_host_management() -> None:
    assert subject.default_host_management(ACCOUNT, REGION) is None
    setting = "/ssm/managed-instance/default-ec2-instance-management-role"
    with subject.within(ACCOUNT, REGION):
        assert ssm._update_service_setting({"SettingId": setting, "SettingValue": "service-role/Managed"}, "me")[0] == 200
    assert subject.default_host_management(ACCOUNT, REGION) == "Managed"


def point_resource_types() -> None:
    entry = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    assert names(entry["create"]) == ["logical_id", "props", "stack_name"]
    assert names(entry["delete"])[:2] == ["physical_id", "props"]
    assert "AWS::IAM::OIDCProvider" not in provisioners._RESOURCE_HANDLERS
    assert "AWS::SSM::Document" not in provisioners._RESOURCE_HANDLERS
    source = inspect.getsource(provisioners)
    assert 'handler["create"](logical_id, props, stack_name)' in source
    assert 'handler["update"](physical_id, old_props, new_props, stack_name' in source


def point_new_services() -> None:
    assert not {"guardduty", "redshift", "access-analyzer"} & set(engine.SERVICE_HANDLERS)
    assert "if svc_name in SERVICE_PATTERNS:" in inspect.getsource(router.detect_service)
    assert {"target_prefixes", "host_patterns"} >= set(router.SERVICE_PATTERNS["ssm"])
    assert iam_actions._SERVICE_PROTOCOL["iam"] == "query-xml"
    assert iam_actions._QUERY_XML_NS["iam"].startswith("https://")
    assert iam_actions._BOTOCORE_SERVICE_MAP["appsync"] == ["appsync"]
    assert iam_actions.SERVICE_TO_IAM_NAMESPACE["ssm"] == "ssm"


def point_trails() -> None:
    assert subject.trails.logging() == []
    with subject.within(ACCOUNT, REGION):
        cloudtrail._create_trail({"Name": "t", "S3BucketName": "logs", "S3KeyPrefix": "p", "IsMultiRegionTrail": True})
        assert subject.trails.logging() == []
        cloudtrail._start_logging({"Name": "t"})
    [found] = subject.trails.logging()
    assert (found.account, found.region, found.name, found.bucket, found.prefix) == (ACCOUNT, REGION, "t", "logs", "p")
    assert (found.is_multi_region, found.has_global_events) == (True, True)
    assert abs(found.started_at - time.time()) < 60
    assert asyncio.run(subject.trails.put_object("logs", "k", b"x", REGION)) == "NoSuchBucket"
    with subject.within("999999999999", REGION):
        asyncio.run(s3.handle_request("PUT", "/logs", {}, b"", {}, internal=True))
    assert asyncio.run(subject.trails.put_object("logs", "k/l", b"x", REGION)) == ""
    with subject.within("999999999999", REGION):
        assert asyncio.run(s3.handle_request("GET", "/logs/k/l", {}, b"", {}, internal=True))[2] == b"x"
    cloudtrail.reset()


def point_reset() -> None:
    with subject.within(ACCOUNT, REGION):
        iam._roles["x"] = {"RoleName": "x"}
        asyncio.run(subject.requests.reset())
        assert "x" not in iam._roles


subject = hooks.Adapter(endpoint="http://127.0.0.1:1", state_dir=Path(sys.argv[1] if len(sys.argv) > 1 else "."))


def main() -> None:
    found: dict[str, str | None] = {}
    for name, point in [(name, point) for name, point in globals().items() if name.startswith("point_")]:
        try:
            point()
            found[name.removeprefix("point_")] = None
        except Exception:  # noqa: BLE001 — every point is judged, whatever the others say
            found[name.removeprefix("point_")] = traceback.format_exc()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
