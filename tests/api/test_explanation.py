"""The template explained: complete against the template itself, honest about its size, and commands that fit it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from isthmus.app import build
from isthmus.clouds.aws.catalog import service_keys
from isthmus.settings import Settings
from isthmus.solutions.contract import REGIONS
from tests.api.conftest import PORT, Api
from tests.support.databases import Databases

INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"
BOTH = {"solutionTypes": [{"solutionType": INVENTORY, "solutionSettings": {"awsGlobalReadOnly": "false"}}, {"solutionType": ONBOARDING}]}
URL = "https://templates.s3.eu-west-1.amazonaws.com/isthmus/{guid}.json"


def explained(api: Api, connector: str, body: Any = None, **more: Any) -> dict[str, Any]:
    answer = api.call("POST", f"{connector}/explainTemplate", body, **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_every_permission_of_the_template_has_its_reason(api: Api) -> None:
    told = explained(api, api.connector(), BOTH)
    template = told["template"]
    assert json.loads(told["text"]) == template
    assert told["bytes"] == len(told["text"].encode()) <= 51_200
    roles = {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == "AWS::IAM::Role"}
    assert {one["logicalId"]: one["role"] for one in told["roles"]} == {name: role["RoleName"] for name, role in roles.items()}
    for one in told["roles"]:
        role = roles[one["logicalId"]]
        policies = [policy["Fn::If"][1] if "Fn::If" in policy else policy for policy in role.get("Policies", [])]
        granted = {statement["Sid"]: statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]}
        assert {statement["sid"] for statement in one["statements"]} == set(granted)
        for statement in one["statements"]:
            assert statement["actions"] == granted[statement["sid"]]["Action"]
            assert statement["conditions"] == granted[statement["sid"]].get("Condition", {})
            assert len(statement["reason"]) > 20
        assert one["managedPolicies"] == role.get("ManagedPolicyArns", [])
        assert len(one["trust"]["reason"]) > 20
    consented = [statement for one in told["roles"] for statement in one["statements"] if statement["consent"]]
    assert [(one["sid"], one["consent"]) for one in consented] == [("WidenRole", "EC2SSMIAMRolePolicyUpdateAllowed")]


def test_parameters_have_their_defaults_and_values(api: Api) -> None:
    told = explained(api, api.connector(), BOTH)
    declared = told["template"]["Parameters"]
    assert [one["name"] for one in told["parameters"]] == list(declared)
    assert {one["name"]: one["default"] for one in told["parameters"] if one["name"].startswith("EC2")} == {
        "EC2SSMIAMRoleAutoAssignment": "true",
        "EC2SSMIAMRoleAutoAssignmentSchedule": "Enable",
        "EC2SSMIAMRoleAutoAssignmentScheduleInterval": "1 day",
        "EC2SSMIAMRolePolicyUpdateAllowed": "false",
    }
    values = {one["name"]: one["allowedValues"] for one in told["parameters"]}
    assert (values["EC2SSMIAMRoleAutoAssignmentSchedule"], values["ExistingOidcProviderArn"]) == (["Enable", "Disable"], [])
    assert all(len(one["description"]) > 20 for one in told["parameters"])


def test_commands_deploy_exactly_this_stack(api: Api) -> None:
    connector = api.connector()
    guid = api.call("GET", connector).json()["properties"]["connectorPrimaryIdentifier"]
    told = explained(api, connector, BOTH)
    texts = [one["text"] for one in told["commands"]]
    assert [text.split()[2] for text in texts] == ["deploy", "create-stack", "wait", "update-stack", "delete-stack"]
    assert all(f"--stack-name Isthmus-{guid[:8]} " in f"{text} " for text in texts)
    assert "--capabilities CAPABILITY_NAMED_IAM" in texts[0]
    assert "'EC2SSMIAMRoleAutoAssignmentScheduleInterval=1 day'" in texts[0]
    assert "ExistingOidcProviderArn" not in texts[0], "an empty default is left out"
    assert told["launchUrl"] == ""
    plain = explained(api, connector, {"solutionTypes": [{"solutionType": INVENTORY}]})
    assert not any("--parameter" in one["text"] for one in plain["commands"])


def test_the_connectors_own_solutions_are_explained_by_default(api: Api) -> None:
    connector = api.connector()
    answer = api.call("POST", f"{connector}/explainTemplate")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "NoSolutionConfigured")
    solution = f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inventory"
    assert api.call("PUT", solution, {"properties": {"solutionType": INVENTORY}}).status_code == 200
    assert [one["logicalId"] for one in explained(api, connector)["roles"]] == ["InventoryRole"]
    wrong = {"solutionTypes": [{"solutionType": INVENTORY, "solutionSettings": {"periodicSync": "maybe"}}]}
    assert api.call("POST", f"{connector}/explainTemplate", wrong).json()["error"]["code"] == "InvalidSolutionSetting"


def test_readers_may_have_it_explained_and_not_tested(api: Api) -> None:
    connector = api.connector()
    reader = api.client("Reader", connector)
    assert explained(api, connector, BOTH, token=reader)["roles"]
    for action in ("testPermissions", "compareTemplate"):
        assert api.call("POST", f"{connector}/{action}", token=reader).status_code == 403
        assert api.call("POST", f"{connector}/{action}").status_code == 202


def test_an_organization_gets_its_stack_set(api: Api) -> None:
    draft = f"/subscriptions/{api.subscription}/providers/Isthmus.Connect/drafts/org"
    basics = {"accountId": "123456789012", "isOrganizationalAccount": True}
    put = {"properties": {"basics": basics, "solutions": {"inventory": {"enabled": True}}}}
    assert api.call("PUT", draft, put, version="2026-11-01").status_code == 201
    commands = api.call("POST", f"{draft}/template", version="2026-11-01").json()["commands"]
    assert len(commands) == 5
    assert all("--stack-set-name AzureArcMultiCloudStackset" in one["text"] for one in commands)


def test_a_template_that_cannot_be_made_yet_says_why(api: Api) -> None:
    draft = f"/subscriptions/{api.subscription}/providers/Isthmus.Connect/drafts/early"
    api.call("PUT", draft, {"properties": {"basics": {"accountId": "1"}}}, version="2026-11-01")
    error = api.call("POST", f"{draft}/template", version="2026-11-01").json()["error"]
    assert error["code"] == "DraftNotReady"
    assert [one["target"] for one in error["details"]] == ["basics.accountId", "solutions"]


def test_a_launch_link_stands_where_a_bucket_is_configured(databases: Databases, tmp_path: Path, made_keys: Path) -> None:
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    url = databases.fresh_sqlite(tmp_path / "isthmus.db")
    app = build(Settings(data=tmp_path / "data", database_url=url, template_url=URL), port=PORT, environ={})
    try:
        api = Api(app, tmp_path / "data")
        connector = api.connector()
        guid = api.call("GET", connector).json()["properties"]["connectorPrimaryIdentifier"]
        link = urlsplit(explained(api, connector, BOTH)["launchUrl"])
    finally:
        app.close()
    assert (link.scheme, link.netloc, link.path) == ("https", "console.aws.amazon.com", "/cloudformation/home")
    page, _, query = link.fragment.partition("?")
    assert page == "/stacks/quickcreate"
    assert parse_qs(query) == {"templateURL": [URL.replace("{guid}", guid)], "stackName": [f"Isthmus-{guid[:8]}"]}


@pytest.mark.parametrize(
    "url",
    [
        "http://b.s3.amazonaws.com/{guid}.json",
        "https://b.s3.amazonaws.com/fixed.json",
        "https://example.com/{guid}.json",
        "https://s3.amazonaws.com.example.com/{guid}.json",
        "https://b.s3.amazonaws.com/{guid}.json?x=1",
    ],
)
def test_only_a_place_in_s3_makes_launch_links(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(template_url=url)


@pytest.mark.parametrize(
    "url", ["", URL, "https://s3.amazonaws.com/bucket/{guid}", "https://b.s3.cn-north-1.amazonaws.com.cn/a/{guid}.json"]
)
def test_places_in_s3(url: str) -> None:
    assert Settings(template_url=url).template_url == url


def test_what_the_wizard_offers_has_titles(api: Api) -> None:
    path = f"/subscriptions/{api.subscription}/providers/Microsoft.HybridConnectivity/solutionTypes"
    types = {one["name"]: one["properties"]["solutionSettings"] for one in api.call("GET", path).json()["value"]}
    settings = {setting["name"]: setting for setting in types[INVENTORY]}
    services = settings["cloudProviderServiceTypes"]
    assert tuple(services["allowedValues"]) == service_keys()
    assert set(services["allowedValueTitles"]) == set(services["allowedValues"])
    for one in (types[INVENTORY], types[ONBOARDING]):
        regions = next(setting for setting in one if setting["name"] == "cloudProviderRegions")
        assert tuple(regions["allowedValues"]) == REGIONS == tuple(regions["allowedValueTitles"])
        assert all(setting["displayName"] and setting["description"] for setting in one)
