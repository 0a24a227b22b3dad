"""The template as CloudFormation, cfn-lint and CreateStack's size limit see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cfnlint.api
import pytest
from cfnlint.config import ManualArgs

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template import (
    MAX_BYTES,
    InventoryAsk,
    OnboardingAsk,
    TemplateRequest,
    authentication_template,
    reasons,
    template_text,
)
from isthmus.clouds.aws.template.build import MAX_INLINE_POLICY
from tests.clouds.aws.template.requests import ACCOUNT, COMBINATIONS, GOLDEN_ACTIONS, GUID, ISSUER, request

GOLDEN = Path(__file__).parents[3] / "golden" / "template"
EVERYTHING = COMBINATIONS["inventory-least-onboarding-two-regions-tagged"]
REGIONS = {"aws": ["us-east-1", "eu-west-1"], "aws-cn": ["cn-north-1"], "aws-us-gov": ["us-gov-west-1"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINATIONS)
def test_cfn_lint_finds_nothing(name: str) -> None:
    wanted = COMBINATIONS[name]
    text = template_text(authentication_template(wanted))
    found = cfnlint.api.lint(text, config=ManualArgs(regions=REGIONS[wanted.partition]))
    assert [f"{match.rule.id} {match.message}" for match in found] == []


@pytest.mark.slow
def test_cfn_lint_would_object_to_a_broken_template() -> None:
    template = authentication_template(EVERYTHING)
    template["Resources"]["AssignmentFunction"]["Properties"]["Timeout"] = 901
    template["Resources"]["OnboardingDocument"]["Properties"]["Content"]["schemaVersion"] = "9.9"
    found = {match.rule.id for match in cfnlint.api.lint(template_text(template), config=ManualArgs(regions=["us-east-1"]))}
    assert found == {"E3717", "E3051"}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_template_fits_create_stack_and_its_policies_fit_iam(name: str) -> None:
    template = authentication_template(COMBINATIONS[name])
    assert len(template_text(template).encode()) <= MAX_BYTES
    for resource in template["Resources"].values():
        policies = resource["Properties"].get("Policies", [])
        assert len(json.dumps(policies, separators=(",", ":"))) <= MAX_INLINE_POLICY


def test_a_template_over_the_limit_is_refused_with_its_size() -> None:
    with pytest.raises(ValueError, match=r"InventoryRole have \d+ characters, IAM takes 10240"):
        authentication_template(request(InventoryAsk(global_read_only=False), None), [f"service:Action{n}" for n in range(1000)])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_golden(name: str) -> None:
    golden = GOLDEN / f"{name}.json"
    assert golden.read_text(encoding="utf-8") == template_text(authentication_template(COMBINATIONS[name], GOLDEN_ACTIONS)), (
        "the template changed: look at the difference and run `python -m tests.golden.write`"
    )


def walk(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for one in inner for found in walk(one))]


def test_names_are_those_that_sessions_and_run_command_use() -> None:
    resources = authentication_template(EVERYTHING)["Resources"]
    assert resources["InventoryRole"]["Properties"]["RoleName"] == names.inventory_role(GUID)
    assert resources["OnboardingRole"]["Properties"]["RoleName"] == names.onboarding_role(GUID)
    assert resources["OnboardingDocument"]["Properties"]["Name"] == names.onboarding_document(GUID)
    assert resources["MachineRole"]["Properties"]["RoleName"] == names.machine_profile(GUID)
    assert resources["MachineProfile"]["Properties"]["InstanceProfileName"] == names.machine_profile(GUID)


def test_an_existing_provider_is_reused_and_only_one_of_this_issuer_is_accepted() -> None:
    template = authentication_template(EVERYTHING)
    parameter = template["Parameters"]["ExistingOidcProviderArn"]
    assert parameter["Default"] == ""
    assert parameter["AllowedPattern"] == f"^(arn:aws:iam::{ACCOUNT}:oidc-provider/issuer[.]isthmus[.]test)?$"
    assert template["Resources"]["OidcProvider"]["Condition"] == "MakeProvider"
    assert template["Resources"]["OidcProvider"]["Properties"]["Url"] == ISSUER
    assert template["Resources"]["OidcProvider"]["Properties"]["ClientIdList"] == [names.audience(ACCOUNT)]


def test_parameters_have_the_names_and_defaults_of_the_connector_they_migrate_from() -> None:
    parameters = authentication_template(EVERYTHING)["Parameters"]
    assert {name: parameter["Default"] for name, parameter in parameters.items()} == {
        "ExistingOidcProviderArn": "",
        "EC2SSMIAMRoleAutoAssignment": "true",
        "EC2SSMIAMRoleAutoAssignmentSchedule": "Enable",
        "EC2SSMIAMRoleAutoAssignmentScheduleInterval": "1 day",
        "EC2SSMIAMRolePolicyUpdateAllowed": "false",
    }


def test_inventory_alone_asks_for_nothing_of_onboarding() -> None:
    template = authentication_template(COMBINATIONS["inventory-global"])
    assert set(template["Resources"]) == {"OidcProvider", "InventoryRole"}
    assert set(template["Parameters"]) == {"ExistingOidcProviderArn"}


def test_tags_name_the_connector() -> None:
    for resource in authentication_template(EVERYTHING)["Resources"].values():
        tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"].get("Tags", [])}
        assert not tags or tags["isthmus-connector"] == GUID


def test_no_secret_and_no_wildcard_principal_anywhere() -> None:
    for value in walk(authentication_template(EVERYTHING)):
        if isinstance(value, dict) and "Principal" in value:
            assert "*" not in json.dumps(value["Principal"])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_permission_has_a_reason_and_every_reason_a_permission(name: str) -> None:
    explained = reasons(COMBINATIONS[name])
    assert all(len(statement.reason) > 20 and statement.reason.endswith(".") for statement in explained)
    granted = {
        (role, statement["Sid"])
        for role, resource in authentication_template(COMBINATIONS[name])["Resources"].items()
        for value in walk(resource["Properties"].get("Policies", []))
        if isinstance(value, dict) and "Statement" in value
        for statement in value["Statement"]
    }
    assert granted == {(statement.role, statement.sid) for statement in explained}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"account": "12345"}, "12 digits"),
        ({"guid": "nonsense"}, "GUID"),
        ({"issuer_url": "http://issuer.test"}, "https issuer"),
        ({"issuer_url": "https://issuer.test:8443"}, "https issuer"),
        ({"issuer_url": "https://issuer.test/?a=b"}, "https issuer"),
        ({"issuer_url": "https://" + "i" * 250}, "https issuer"),
        ({"partition": "aws-moon"}, "partitions"),
        ({"onboarding": OnboardingAsk(regions=())}, "at least one region"),
        ({"onboarding": OnboardingAsk(regions=("us-east-1,*",))}, "no AWS region"),
        ({"onboarding": OnboardingAsk(filter_tag="nocolon")}, "key:value"),
        ({"onboarding": OnboardingAsk(filter_tag="a:b\n")}, "key:value"),
        ({"onboarding": OnboardingAsk(filter_tag="a:${b}")}, "key:value"),
        ({"inventory": None, "onboarding": None}, "at least one solution"),
    ],
)
def test_requests_that_cannot_stand_in_a_template_are_refused(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "guid": GUID,
        "issuer_url": ISSUER,
        "inventory": InventoryAsk(),
        "onboarding": OnboardingAsk(),
    } | change
    with pytest.raises(ValueError, match=message):
        TemplateRequest(**fields)
