"""Policies: parliament judges the permissions, our own lint the trust; what each role must not be able to do is said outright."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import parliament
import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template import AccessAsk, TemplateRequest, authentication_template, reasons
from isthmus.clouds.aws.template.statements import DATA_READS, OWN_ROLE
from tests.clouds.aws.template.requests import ACCOUNT, COMBINATIONS, GUID

SEVERE = ("MEDIUM", "HIGH", "CRITICAL")
READING = ("Get", "List", "Describe", "Simulate")
SERVICES = {"ec2.amazonaws.com", "ec2.amazonaws.com.cn", "lambda.amazonaws.com"}


def roles(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == "AWS::IAM::Role"}


def policies(role: dict[str, Any], *, consent: bool) -> list[dict[str, Any]]:
    """The policy documents of a role as they are after CloudFormation resolved its conditions."""
    found = []
    for policy in role.get("Policies", []):
        if "Fn::If" in policy:
            _, given, withheld = policy["Fn::If"]
            assert withheld == {"Ref": "AWS::NoValue"}
            found += [given] if consent else []
        else:
            found.append(policy)
    return [policy["PolicyDocument"] for policy in found]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_parliament_finds_nothing_above_low(name: str) -> None:
    for logical_id, role in roles(authentication_template(COMBINATIONS[name])).items():
        for document in policies(role, consent=True):
            # parliament knows the ARNs of the aws partition alone
            text = json.dumps(document).replace("arn:aws-cn:", "arn:aws:").replace("arn:aws-us-gov:", "arn:aws:")
            severe = [f for f in parliament.analyze_policy_string(text).findings if parliament.enhance_finding(f).severity in SEVERE]
            assert severe == [], logical_id


def lint_trust(document: dict[str, Any], wanted: TemplateRequest) -> None:
    """Trust of roles that are not people's: one statement, one principal; a federated one demands audience, subject and session name by
    equality."""
    (statement,) = document["Statement"]
    assert statement["Effect"] == "Allow"
    if "Service" in statement["Principal"]:
        assert statement["Action"] == "sts:AssumeRole"
        assert statement["Principal"]["Service"] in SERVICES
        return
    assert set(statement) == {"Effect", "Principal", "Action", "Condition"}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {
        "Federated": {"Fn::If": ["MakeProvider", {"Ref": "OidcProvider"}, {"Ref": "ExistingOidcProviderArn"}]}
    }
    assert set(statement["Condition"]) == {"StringEquals"}
    demanded = statement["Condition"]["StringEquals"]
    assert set(demanded) == {f"{wanted.issuer}:aud", f"{wanted.issuer}:sub", "sts:RoleSessionName"}
    assert demanded[f"{wanted.issuer}:aud"] == names.audience(ACCOUNT)
    assert demanded["sts:RoleSessionName"] == f"ConnectorPrimaryIdentifier_{GUID}"
    assert all("*" not in value and "?" not in value for value in demanded.values())


def lint_people_trust(document: dict[str, Any], wanted: TemplateRequest, *, mfa: bool) -> None:
    """Trust of people's roles: tokens for people alone, a second factor, this very role; every session is stamped."""
    sign_in, stamp = document["Statement"]
    assert sign_in["Action"] == "sts:AssumeRoleWithWebIdentity"
    demanded = sign_in["Condition"]
    assert demanded["StringEquals"] == {f"{wanted.issuer}:aud": names.people_audience(ACCOUNT)}
    assert demanded["StringLike"] == {f"{wanted.issuer}:sub": "user:*"}
    assert demanded["Bool"] == {"sts:RoleAuthorizedByIdp": "true"}
    assert demanded.get("ForAnyValue:StringEquals") == ({f"{wanted.issuer}:amr": "mfa"} if mfa else None)
    assert set(stamp["Action"]) == {"sts:TagSession", "sts:SetSourceIdentity"}
    assert stamp["Condition"]["StringLike"] == {"aws:RequestTag/grant": "G-*", "sts:SourceIdentity": "?*"}
    assert stamp["Principal"] == sign_in["Principal"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_persons_role_carries_the_revocation_policy_which_it_cannot_lift(name: str) -> None:
    resources = authentication_template(COMBINATIONS[name])["Resources"]
    people = [one["Properties"] for logical_id, one in resources.items() if logical_id.startswith("Person")]
    assert all({"Ref": "Revocations"} in one["ManagedPolicyArns"] for one in people)
    if "Revocations" in resources:
        (protect,) = resources["Revocations"]["Properties"]["PolicyDocument"]["Statement"]
        assert protect["Effect"] == "Deny"
        assert {"iam:Create*", "iam:Detach*", "iam:Set*", "iam:Update*"} <= set(protect["Action"])
        policy, own_roles, own_profiles, provider = protect["Resource"]
        profiles = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::IAM::InstanceProfile"]
        named = [names.machine_profile(GUID), *(one["InstanceProfileName"] for one in profiles)]
        assert all(fnmatchcase(f"arn:aws:iam::{ACCOUNT}:instance-profile/{one}", own_profiles) for one in named)
        assert policy.endswith(f":policy/{resources['Revocations']['Properties']['ManagedPolicyName']}")
        assert all(fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{one['RoleName']}", own_roles) for one in people)
        assert provider == COMBINATIONS[name].provider_arn


def changes_of(*kinds: str) -> set[str]:
    """Every action of IAM that changes such resources, as parliament knows them."""
    services = json.loads((Path(parliament.__file__).parent / "iam_definition.json").read_text())
    return {
        f"iam:{one['privilege']}"
        for service in services
        if service["prefix"] == "iam"
        for one in service["privileges"]
        if one["access_level"] not in ("Read", "List")
        and {kind["resource_type"].rstrip("*") for kind in one["resource_types"]} & set(kinds)
    } - {"iam:PassRole"}


def test_nothing_that_denies_people_is_changed_by_people() -> None:
    """Without the audience at its provider no token of ours is taken, and then nobody could be denied any more."""
    protect = authentication_template(COMBINATIONS["access-people"])["Resources"]["Revocations"]["Properties"]["PolicyDocument"][
        "Statement"
    ][0]
    changes = changes_of("role", "policy", "oidc-provider", "instance-profile")
    assert {"iam:RemoveClientIDFromOpenIDConnectProvider", "iam:AddRoleToInstanceProfile", "iam:UpdateAssumeRolePolicy"} <= changes
    assert {one for one in changes if not any(fnmatchcase(one, denied) for denied in protect["Action"])} == set()
    assert not any(fnmatchcase("iam:PassRole", denied) for denied in protect["Action"]), "passing the role of machines changes nothing"


@pytest.mark.parametrize("name", ["access-saml", "access-oidc-v2", "access-claims"])
def test_nobody_who_comes_by_a_directory_changes_its_provider(name: str) -> None:
    person = authentication_template(COMBINATIONS[name])["Resources"]["PersonOpsRole"]["Properties"]
    (keep,) = [one for document in policies(person, consent=True) for one in document["Statement"] if one["Sid"] == "KeepProvider"]
    for action in changes_of("oidc-provider", "saml-provider"):
        assert any(fnmatchcase(action, denied) for denied in keep["Action"]), action


@pytest.mark.parametrize("name", COMBINATIONS)
def test_trust_policies(name: str) -> None:
    found = roles(authentication_template(COMBINATIONS[name]))
    people = {logical_id: role for logical_id, role in found.items() if logical_id.startswith(("Person", "Witness"))}
    access = COMBINATIONS[name].access
    ours = people if access is None or access.directory is None else {"Witness": people["Witness"]}
    for logical_id, role in ours.items():
        lint_people_trust(role["AssumeRolePolicyDocument"], COMBINATIONS[name], mfa=logical_id != "PersonGuestsRole")
    found = {logical_id: role for logical_id, role in found.items() if logical_id not in people}
    for role in found.values():
        lint_trust(role["AssumeRolePolicyDocument"], COMBINATIONS[name])
    subjects = {
        logical_id: value
        for logical_id, role in found.items()
        for key, value in role["AssumeRolePolicyDocument"]["Statement"][0].get("Condition", {}).get("StringEquals", {}).items()
        if key.endswith(":sub")
    }
    expected = {"InventoryRole": names.INVENTORY, "OnboardingRole": names.ONBOARDING, "AccessRole": names.ACCESS}
    assert subjects == {logical_id: names.subject(expected[logical_id], GUID) for logical_id in subjects}
    assert set(subjects) == set(expected) & set(found)


def granted(role: str, *, consent: bool = False) -> list[dict[str, Any]]:
    template = authentication_template(COMBINATIONS["inventory-least-onboarding-two-regions-tagged"])
    return [
        statement
        for document in policies(roles(template)[role], consent=consent)
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    ]


def resources_of(action: str, statements: list[dict[str, Any]]) -> set[str]:
    return {resource for statement in statements if action in statement["Action"] for resource in statement["Resource"]}


def test_the_onboarding_role_runs_one_document_and_changes_nothing_else() -> None:
    statements = granted("OnboardingRole")
    assert resources_of("ssm:SendCommand", statements) == {
        f"arn:aws:ssm:*:{ACCOUNT}:document/Isthmus-Onboarding-3f2504e0",
        f"arn:aws:ec2:*:{ACCOUNT}:instance/*",
    }
    writing = {action for one in statements for action in one["Action"] if not action.split(":")[1].startswith(READING)}
    assert writing == {"ssm:SendCommand", "ssm:CancelCommand"}
    (sending,) = [one for one in statements if "ssm:SendCommand" in one["Action"]]
    assert sending["Condition"] == {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}


@pytest.mark.parametrize(
    ("role", "name"), [("InventoryRole", "IsthmusInventory-3f2504e0"), ("OnboardingRole", "IsthmusOnboarding-3f2504e0")]
)
def test_a_role_may_look_at_itself_and_at_no_other_role(role: str, name: str) -> None:
    statements = [one for one in granted(role) if one["Sid"] == "ReadOwnRole"]
    for action in OWN_ROLE:
        assert resources_of(action, statements) == {f"arn:aws:iam::{ACCOUNT}:role/{name}"}
    assert resources_of("iam:SimulatePrincipalPolicy", granted(role)) == {f"arn:aws:iam::{ACCOUNT}:role/{name}"}


def test_the_function_can_pass_one_role_and_never_leaves_an_instance_without_profile() -> None:
    statements = granted("AssignmentRole", consent=True)
    assert resources_of("iam:PassRole", statements) == {f"arn:aws:iam::{ACCOUNT}:role/IsthmusMachine-3f2504e0"}
    (passing,) = [one for one in statements if "iam:PassRole" in one["Action"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    actions = {action for one in statements for action in one["Action"]}
    assert not actions & {
        "ec2:DisassociateIamInstanceProfile",
        "iam:AddRoleToInstanceProfile",
        "lambda:DeleteFunction",
        "logs:CreateLogGroup",
    }
    everywhere = {action for one in statements if one["Resource"] == ["*"] for action in one["Action"]}
    assert all(action.split(":")[1].startswith("Describe") for action in everywhere)


def test_foreign_roles_are_widened_only_with_consent_and_by_one_policy() -> None:
    assert resources_of("iam:AttachRolePolicy", granted("AssignmentRole")) == set()
    (widening,) = [one for one in granted("AssignmentRole", consent=True) if "iam:AttachRolePolicy" in one["Action"]]
    assert widening["Condition"] == {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"}}


def test_files_of_a_trail_are_read_only_where_its_bucket_is_named_and_below_the_account_alone() -> None:
    def of(**trail: str) -> dict[str, Any]:
        wanted = TemplateRequest(account=ACCOUNT, guid=GUID, issuer_url="https://issuer.isthmus.test", access=AccessAsk(**trail))
        role = roles(authentication_template(wanted))["AccessRole"]
        granted = {one["Sid"] for policy in policies(role, consent=False) for one in policy["Statement"]}
        found = {one.sid: one for one in reasons(wanted) if any(action.startswith(("s3:", "cloudtrail:")) for action in one.actions)}
        assert set(found) <= granted
        return found

    assert set(of()) == {"ReadTrail"}
    found = of(trail_bucket="logs", trail_prefix="p")
    assert found["ListTrailFiles"].conditions == {"StringLike": {"s3:prefix": f"p/AWSLogs/{ACCOUNT}/*"}}
    assert found["ReadTrailFiles"].resources == [f"arn:aws:s3:::logs/p/AWSLogs/{ACCOUNT}/*"]
    assert of(trail_bucket="logs")["ReadTrailFiles"].resources == [f"arn:aws:s3:::logs/AWSLogs/{ACCOUNT}/*"]


def test_least_privilege_inventory_reads_only() -> None:
    actions = {action for one in granted("InventoryRole") for action in one["Action"]}
    assert "ec2:DescribeRegions" in actions
    reading = ("Get", "List", "Describe", "Search", "Simulate", "GET", "BatchGet")
    assert [action for action in sorted(actions) if not action.split(":")[1].startswith(reading)] == []
    assert not any("*" in action for action in actions)


def test_global_read_is_read_only_access_minus_everything_customers_store() -> None:
    template = authentication_template(COMBINATIONS["inventory-global"])
    role = roles(template)["InventoryRole"]
    assert role["ManagedPolicyArns"] == ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    (document,) = policies(role, consent=False)
    (statement,) = document["Statement"]
    assert statement["Effect"] == "Deny"
    assert {"s3:GetObject", "dynamodb:Scan", "ssm:GetParameter", "secretsmanager:GetSecretValue"} <= set(statement["Action"])
    reading = json.loads(aws_managed_policies_data)["ReadOnlyAccess"]["Document"]["Statement"]
    patterns = [pattern.lower() for one in reading for pattern in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])]
    least = {action for one in granted("InventoryRole") for action in one["Action"]}
    assert not least & set(statement["Action"])
    assert [action for action in least if not any(fnmatchcase(action.lower(), pattern) for pattern in patterns)] == []
    assert len(set(DATA_READS)) == len(DATA_READS)


def test_parliament_would_object_to_a_policy_that_is_too_wide() -> None:
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:s3:::bucket"}]}
    found = parliament.analyze_policy_string(json.dumps(wide)).findings
    assert any(parliament.enhance_finding(one).severity in SEVERE for one in found)
