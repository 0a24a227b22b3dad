"""Commands against a real server: what they do, what they say, and how they fail."""

from __future__ import annotations

import json
import stat
import uuid
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Cli

pytestmark = pytest.mark.e2e


@pytest.fixture
def connector(cli: Cli) -> str:
    """A connector of an account of its own."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    cli.json("connector", "create", "--account", account(), "--name", name, "--group", f"g-{name}")
    return name


def account() -> str:
    return f"{uuid.uuid4().int % 10**12:012d}"


def test_a_connector_is_created_listed_shown_and_deleted(cli: Cli) -> None:
    number, name = account(), f"c-{uuid.uuid4().hex[:8]}"
    made = cli("connector", "create", "--account", number, "--name", name, "--group", f"g-{name}", "--tag", "team=one")
    assert made.code == 0, made.err
    assert f"Made resource group 'g-{name}'" in made.err
    assert f"isthmus connector template {name}" in made.err
    listed = {one["name"]: one for one in cli.json("connector", "list")}
    assert listed[name]["properties"]["awsCloudProfile"]["accountId"] == number
    assert listed[name]["tags"] == {"team": "one"}
    table = cli("connector", "list", "--group", f"g-{name}")
    assert table.out.split()[:6] == ["NAME", "ACCOUNT", "GROUP", "LOCATION", "IDENTIFIER", name]
    assert cli.json("connector", "show", name)["id"] == listed[name]["id"]
    assert cli("connector", "delete", name, input="n\n").code == 1
    deleted = cli("connector", "delete", name, "--yes")
    assert (deleted.code, "Deleted" in deleted.err) == (0, True)
    assert cli("connector", "show", name).code == 1


def test_names_like_the_wrong_one_are_suggested(cli: Cli, connector: str) -> None:
    near = cli("connector", "show", f"{connector[:-1]}-")
    assert (near.code, f"Did you mean '{connector}'" in near.err) == (1, True), near.err
    assert "'ec2VPCs'" in cli("inventory", "list", "--type", "ec2VPC").err
    assert "'connector'" in cli("conector", "list").err
    assert "--account" in cli("connector", "create", "--acount", "1").err


def test_a_resource_in_every_format(cli: Cli, connector: str) -> None:
    shown = cli.json("connector", "show", connector)
    row = [connector, shown["properties"]["awsCloudProfile"]["accountId"], f"g-{connector}", "eastus"]
    row += [shown["properties"]["connectorPrimaryIdentifier"]]
    assert cli("connector", "show", connector, "-o", "tsv").out.rstrip("\n").split("\t") == row
    assert cli("connector", "list", "-o", "csv").out.splitlines()[0] == "NAME,ACCOUNT,GROUP,LOCATION,IDENTIFIER"
    assert ",".join(row) in cli("connector", "list", "-o", "csv").out.splitlines()
    assert yaml.safe_load(cli("connector", "show", connector, "-o", "yaml").out) == shown
    template = cli("connector", "template", connector, "--solution", "inventory", "-o", "yaml").out
    assert yaml.safe_load(template) == cli.json("connector", "template", connector, "--solution", "inventory")
    assert cli("version", "-o", "tsv").out.count("\t") == 1
    assert cli("issuer", "export", str(cli.home / "issuer"), "-o", "csv").out.splitlines()[0] == "issuer,files"


def test_a_refused_connector_leaves_no_group_behind(cli: Cli, connector: str) -> None:
    taken = cli.json("connector", "show", connector)["properties"]["awsCloudProfile"]["accountId"]
    group = f"g-{uuid.uuid4().hex[:8]}"
    refused = cli("connector", "create", "--account", taken, "--name", "another-one", "--group", group)
    assert refused.code == 1
    assert taken in refused.err
    left = cli("group", "show", group, "--output", "json")
    assert left.code == 1 or left.json()["properties"]["provisioningState"] == "Deleting"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("connector", "create", "--account", "12345", "--group", "bad"), 1, "accountId"),
        (("connector", "create"), 2, "--account"),
        (("connector", "create", "--account", "123456789012", "--name", "a_b"), 1, "InvalidResourceName"),
        (("connector", "delete", "", "--yes"), 1, "The name of the connector is empty"),
        (("connector", "show", " ", "--group", "g"), 1, "The name of the connector is empty"),
        (("solution", "delete", "", "--connector", "c", "--yes"), 1, "The name of the solution is empty"),
        (("connector", "show", "nowhere"), 1, "There is no connector 'nowhere'"),
        (("connector", "show", "nowhere", "--group", "nowhere"), 1, "isthmus group create"),
        (("connector", "list", "--output", "xml"), 2, "xml"),
        (("connector", "list", "--subscription", "mine"), 1, "Name one with --subscription"),
        (("connector", "template", "/subscriptions/x"), 1, "error: "),
        (("machine", "show", "//"), 1, "InvalidResourceId"),
        (("scan", "nowhere"), 1, "There is no connector"),
        (("inventory", "list", "--type", "castles"), 1, "isthmus inventory types --all"),
        (("inventory", "show", "nothing"), 1, "isthmus inventory list"),
        (("operation", "show", "nothing"), 1, "ResourceNotFound"),
        (("role", "assign", "--principal", str(uuid.UUID(int=1)), "--role", "King"), 1, "Contributor"),
        (("role", "assign", "--principal", "nobody", "--role", "Reader"), 1, "There is no client 'nobody'"),
        (("role", "remove", "/subscriptions/x"), 1, "isthmus role list"),
        (("client", "create", ""), 1, "1 to 256"),
        (("client", "federate", "x"), 2, "--issuer"),
        (("subscription", "create", "x", "--id", "not-a-guid"), 1, "InvalidResourceName"),
        (("login", "https://localhost/elsewhere"), 1, "not a sign-in link"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_bad_input_is_one_clear_line(cli: Cli, arguments: tuple[str, ...], code: int, said: str) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--type", "castle"), 1, "The short names are: inventory, onboarding"),
        (("--type", "inventory", "--set", "colour=blue"), 1, "'colour' is not a setting"),
        (("--type", "inventory", "--set", "periodicSync"), 2, "name=value"),
        (("--type", "inventory", "--set", "periodicSyncTime=5"), 1, "accepts 1, 2, 4"),
        (("--type", "inventory", "--set", "cloudProviderRegions=,"), 1, "cloudProviderRegions"),
        (("--type", "inventory", "--regions", "mars"), 1, "mars"),
    ],
)
def test_bad_solutions_are_refused(cli: Cli, connector: str, options: tuple[str, ...], code: int, said: str) -> None:
    ran = cli("solution", "create", "--connector", connector, *options)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert cli.json("solution", "list", "--connector", connector) == []


def test_solutions_templates_and_scans_of_an_account_without_the_template(cli: Cli, connector: str, tmp_path: Path) -> None:
    missing = cli("scan", connector)
    assert (missing.code, "isthmus solution create" in missing.err) == (1, True)
    made = cli("solution", "create", "--connector", connector, "--type", "inventory")
    assert (made.code, "isthmus connector template" in made.err) == (0, True), made.err
    changed = cli.json("solution", "update", "inventory", "--connector", connector, "--set", "periodicSyncTime=4")
    assert changed["properties"]["solutionSettings"]["periodicSyncTime"] == "4"

    file = tmp_path / "template.json"
    written = cli("connector", "template", connector, "--output-file", str(file))
    assert "aws cloudformation deploy" in written.err
    assert "--capabilities CAPABILITY_NAMED_IAM" in written.err
    assert "Resources" in json.loads(file.read_text())
    assert cli.json("connector", "template", connector) == json.loads(file.read_text())

    tested = cli("connector", "test-permissions", connector)
    assert (tested.code, "Disconnected" in tested.out) == (1, True)
    scanned = cli("scan", connector)
    assert scanned.code == 1
    assert "AuthorizationPending" in scanned.err
    assert "isthmus connector template" in scanned.err

    operations = cli.json("operation", "list")
    failed = next(one for one in operations if one["properties"]["kind"] == "sync" and one["properties"]["status"] == "Failed")
    waited = cli("operation", "wait", failed["name"])
    assert (waited.code, "AuthorizationPending" in waited.out) == (1, True)
    assert cli("operation", "show", operations[-1]["name"]).code == 0
    assert cli("solution", "delete", "inventory", "--connector", connector, "--yes").code == 0


def test_inventory_of_nothing(cli: Cli) -> None:
    assert cli.json("inventory", "types") == []
    everything = {one["type"] for one in cli.json("inventory", "types", "--all")}
    assert len(everything) >= 30
    assert "ec2Instances" in everything
    empty = cli("inventory", "list")
    assert (empty.code, empty.out, empty.err) == (0, "", "Nothing found.\n")
    assert cli.json("machine", "list") == []


def test_clients_get_roles_and_sign_in_with_what_they_have(cli: Cli) -> None:
    id = f"robot-{uuid.uuid4().hex[:8]}"
    made = cli.json("client", "create", "Robot", "--id", id)
    env = {"ISTHMUS_CLIENT_ID": id, "ISTHMUS_CLIENT_SECRET": "wrong"}
    wrong = cli("group", "list", env=env)
    assert (wrong.code, "[InvalidClient]" in wrong.err) == (1, True), wrong.err
    shown = cli("client", "secret", id, "--days", "2")
    env["ISTHMUS_CLIENT_SECRET"] = secret = shown.out.strip()
    assert (secret not in shown.err, len(secret) > 20) == (True, True)
    stranger = cli("group", "list", env=env)
    assert (stranger.code, "[NoSubscription]" in stranger.err) == (1, True)
    assert f"isthmus role assign --principal {made['properties']['objectId']}" in stranger.err
    assigned = cli.json("role", "assign", "--principal", id, "--role", "Reader", "--scope", "/")
    assert assigned["properties"]["principalId"] == made["properties"]["objectId"]
    assert cli("group", "list", env=env).code == 0
    refused = cli("group", "create", "forbidden", env=env)
    remedy = f"Ask an owner: isthmus role assign --principal {made['properties']['objectId']} --role Contributor --scope /subscriptions/"
    assert (refused.code, remedy in refused.err) == (1, True), refused.err
    roles = cli.json("role", "list", "--scope", "/", "--principal", id)
    assert [one["id"] for one in roles] == [assigned["id"]]
    assert "Reader" in cli("role", "list", "--scope", "/").out
    assert cli("role", "remove", assigned["id"]).code == 0

    federated = cli.json("client", "federate", id, "--issuer", "https://issuer.example", "--subject", "me")
    detail = cli.json("client", "show", id)
    assert [one["id"] for one in detail["properties"]["federatedCredentials"]] == [federated["id"]]
    assert secret not in json.dumps(detail)
    assert cli("client", "secret", id, "--remove", detail["properties"]["secrets"][0]["id"]).code == 0
    assert cli("client", "remove", id, "--yes").code == 0
    assert id not in {one["name"] for one in cli.json("client", "list")}


def test_half_a_client_in_the_environment_is_named(cli: Cli) -> None:
    ran = cli("group", "list", env={"ISTHMUS_CLIENT_ID": "x", "ISTHMUS_CLIENT_SECRET": "", "ISTHMUS_FEDERATED_TOKEN_FILE": ""})
    assert (ran.code, "exactly one of ISTHMUS_CLIENT_SECRET" in ran.err) == (1, True)
    ran = cli("group", "list", env={"ISTHMUS_CLIENT_ID": "x", "ISTHMUS_FEDERATED_TOKEN_FILE": "/nowhere/token"})
    assert (ran.code, "/nowhere/token" in ran.err) == (1, True)


def test_groups_and_subscriptions(cli: Cli) -> None:
    name = f"g-{uuid.uuid4().hex[:8]}"
    assert cli.json("group", "create", name, "--location", "West Europe", "--tag", "a=b")["location"] == "westeurope"
    assert cli.json("group", "show", name)["tags"] == {"a": "b"}
    assert cli("group", "delete", name, "--yes").code == 0
    assert name not in {one["name"] for one in cli.json("group", "list")}
    made = cli.json("subscription", "create", "Second")
    assert {"Isthmus", "Second"} <= {one["displayName"] for one in cli.json("subscription", "list")}
    assert cli.json("group", "list", "--subscription", made["subscriptionId"]) == []
    assert cli("--subscription", "second", "--output", "json", "group", "list").out == "[]\n"


def test_a_sign_in_link_works_once_and_its_token_is_private(cli: Cli, tmp_path: Path) -> None:
    link = cli("login", "--link").out.strip()
    url = link.partition("/sign-in#")[0]
    elsewhere, env = tmp_path / "elsewhere", {"ISTHMUS_URL": url, "REQUESTS_CA_BUNDLE": str(cli.data / "keys" / "ca.pem")}
    unknown = cli("subscription", "list", env=env, data=elsewhere)
    assert (unknown.code, "You are not signed in" in unknown.err) == (1, True)
    stranger = cli("login", "--link", env=env, data=elsewhere)
    assert (stranger.code, "NotTheOwner" in stranger.err) == (1, True), stranger.err
    signed = cli("login", "-", env=env, data=elsewhere, input=f"{link}\n")
    assert (signed.code, "Signed in to" in signed.err) == (0, True), signed.err
    assert link.partition("#")[2] not in signed.out + signed.err
    (file,) = (cli.home / "isthmus").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert cli("subscription", "list", env=env, data=elsewhere).code == 0
    assert cli("login", "--link").out.startswith(url), "the owner of the data folder makes another, whoever is signed in besides"
    again = cli("login", link, env=env, data=elsewhere)
    assert (again.code, "isthmus login --link" in again.err) == (1, True)
    file.chmod(0o644)
    assert cli("subscription", "list", env=env, data=elsewhere).code == 1
    assert cli("logout", env=env, data=elsewhere).err == "Signed out.\n"
    assert not list((cli.home / "isthmus").glob("*.json"))


def test_without_a_server_the_remedy_is_said(cli: Cli, tmp_path: Path) -> None:
    ran = cli("group", "list", data=tmp_path)
    assert (ran.code, "isthmus serve" in ran.err) == (1, True)
    gone = cli("group", "list", env={"ISTHMUS_URL": "https://127.0.0.1:9", "ISTHMUS_CLIENT_ID": "x", "ISTHMUS_CLIENT_SECRET": "y"})
    assert (gone.code, "Is the server running?" in gone.err) == (1, True)
    plain = cli("group", "list", env={"ISTHMUS_URL": "http://127.0.0.1:9", "ISTHMUS_CLIENT_ID": "x", "ISTHMUS_CLIENT_SECRET": "y"})
    assert (plain.code, "Use https" in plain.err) == (1, True)


def test_the_audit_chain_holds_and_shows_refusals(cli: Cli) -> None:
    assert cli("subscription", "create", "x", "--id", "bad").code == 1
    assert cli.json("audit", "verify")["valid"] is True
    assert cli.json("audit", "list", "--last", "1", "--refused")[0]["properties"]["outcome"] == "refused"
    assert len(cli.json("audit", "list", "--last", "3")) == 3


def test_the_issuer_is_exported(cli: Cli, tmp_path: Path) -> None:
    told = cli.json("issuer", "export", str(tmp_path / "issuer"))
    discovery = json.loads((tmp_path / "issuer" / ".well-known" / "openid-configuration").read_text())
    assert discovery["issuer"] == told["issuer"]
    keys = [json.loads(Path(file).read_text()) for file in told["files"] if not file.endswith("openid-configuration")]
    assert [set(key) & {"d", "p", "q"} for key in keys[0]["keys"]] == [set() for _ in keys[0]["keys"]]


def test_settings_solution_types_and_version_are_listed(cli: Cli) -> None:
    settings = {one["variable"]: one for one in cli.json("settings")}
    assert settings["ISTHMUS_DATA"]["set"] is True
    assert settings["ISTHMUS_PORT"]["default"] == "8443"
    assert [one["name"] for one in cli.json("solution", "types", "list")] == [
        "Isthmus.Access",
        "Microsoft.AssetManagement",
        "Microsoft.HybridCompute.Onboard",
    ]
    assert "periodicSyncTime" in cli("solution", "types", "show", "inventory").out
    assert cli("version").out.startswith("isthmus ")


def test_a_wrong_setting_is_named(cli: Cli) -> None:
    ran = cli("serve", env={"ISTHMUS_PORT": "many"})
    assert (ran.code, "ISTHMUS_PORT" in ran.err) == (1, True)
