"""azure-cli, from an environment of its own (`make azure-cli`), works on the running server as it does on Azure."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import Server
from tests.support.databases import Databases

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

AZ = Path(__file__).parents[2] / "build" / "azure-cli" / "bin" / "az"
CONNECTORS = "Microsoft.HybridConnectivity/publicCloudConnectors"
VERSION = "2024-12-01"

Az = Callable[..., Any]


class Refused(Exception):
    """az ended with an error; the text is what it said."""


@pytest.fixture(scope="module")
def served_database(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> str:
    """SQLite alone: each call of az costs a second of CPU, and the SDK tests cover both databases."""
    return databases.fresh_sqlite(tmp_path_factory.mktemp("database") / "isthmus.db")


@pytest.fixture(scope="module")
def az(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Az:
    """Runs az in a fresh configuration that knows our cloud and has signed in with a client secret."""
    assert AZ.exists(), f"{AZ} is missing: run `make azure-cli`"
    folder = tmp_path_factory.mktemp("az")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AZURE_CONFIG_DIR": str(folder / "azure"),
        "REQUESTS_CA_BUNDLE": str(server.ca),
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
        "AZURE_CORE_SURVEY_MESSAGE": "0",
        "AZURE_CORE_NO_COLOR": "1",
        "AZURE_CORE_ONLY_SHOW_ERRORS": "1",
        "AZURE_CORE_LOGIN_EXPERIENCE_V2": "0",
        "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
    }

    def run(*words: str) -> Any:
        done = subprocess.run([AZ, *words, "--output", "json"], env=environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise Refused(done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    run("cloud", "register", "--name", "Isthmus", "--endpoint-resource-manager", server.url)
    run("cloud", "set", "--name", "Isthmus")
    run("config", "set", "core.instance_discovery=false")
    signed_in = run("login", "--service-principal", "-u", server.client_id, "-p", server.secret, "--tenant", server.tenant)
    assert [one["id"] for one in signed_in] == [server.subscription]
    return run


def test_groups(az: Az, server: Server) -> None:
    made = az("group", "create", "-n", "from-az", "-l", "eastus", "--tags", "a=1")
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert az("group", "show", "-n", "FROM-AZ")["tags"] == {"a": "1"}
    assert "from-az" in [one["name"] for one in az("group", "list")]
    assert az("group", "exists", "-n", "from-az") is True
    az("group", "delete", "-n", "from-az", "--yes")
    assert az("group", "exists", "-n", "from-az") is False
    with pytest.raises(Refused, match="ResourceGroupNotFound"):
        az("group", "show", "-n", "from-az")


def test_a_connector_as_a_resource(az: Az, server: Server) -> None:
    group, account = server.group(), server.account()
    names = ("-g", group, "-n", "connector", "--resource-type", CONNECTORS)
    properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": account}}
    made = az("resource", "create", *names, "-l", "eastus", "--properties", json.dumps(properties))
    assert made["properties"]["awsCloudProfile"]["accountId"] == account
    id = made["id"]
    assert az("resource", "show", *names)["properties"]["connectorPrimaryIdentifier"]
    assert az("resource", "tag", "--ids", id, "--tags", "team=blue")["tags"] == {"team": "blue"}
    assert az("tag", "update", "--resource-id", id, "--operation", "Merge", "--tags", "more=yes")["properties"]["tags"] == {
        "team": "blue",
        "more": "yes",
    }
    (listed,) = az("resource", "list", "-g", group)
    assert (listed["id"], listed["tags"], listed["provisioningState"]) == (id, {"team": "blue", "more": "yes"}, "Succeeded")
    tested = az("resource", "invoke-action", "--action", "testPermissions", "--ids", id, "--api-version", VERSION)
    assert tested is not None, "az waits for the operation and shows nothing of its end"
    az("resource", "delete", *names)
    with pytest.raises(Refused, match="ResourceNotFound"):
        az("resource", "show", *names)


def test_a_solution_and_its_template_through_rest(az: Az, server: Server) -> None:
    group = f"/subscriptions/{server.subscription}/resourceGroups/{server.group()}"
    connector = f"{group}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c-1"

    def rest(method: str, path: str, body: Any = None) -> Any:
        given = () if body is None else ("--body", json.dumps(body))
        return az("rest", "--method", method, "--url", f"{path}?api-version={VERSION}", *given)

    rest("put", connector, {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": server.account()}}})
    solution = f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inv"
    made = rest("put", solution, {"properties": {"solutionType": "Microsoft.AssetManagement"}})
    assert made["properties"]["status"] == "AuthorizationPending"
    action = f"/subscriptions/{server.subscription}/providers/Microsoft.HybridConnectivity/generateAwsTemplate"
    assert rest("post", action, {"connectorId": connector})["AWSTemplateFormatVersion"] == "2010-09-09"
    with pytest.raises(Refused, match="InvalidSolutionType"):
        rest("put", solution.replace("/inv", "/two"), {"properties": {"solutionType": "Microsoft.Nothing"}})


def test_what_a_subscription_offers(az: Az, server: Server) -> None:
    providers = {one["namespace"]: one["registrationState"] for one in az("provider", "list")}
    assert providers["Microsoft.HybridConnectivity"] == "Registered"
    assert "eastus" in [one["name"] for one in az("account", "list-locations")]
    assigned = az("role", "assignment", "list", "--all", "--fill-principal-name", "false")
    assert "/" in [one["scope"] for one in assigned]


def test_a_role_is_assigned_and_assigning_it_again_answers_the_same(az: Az, server: Server) -> None:
    """az takes the error RoleAssignmentExists for an answer, and shows the assignment that there is."""
    person = str(uuid.uuid4())
    scope = f"/subscriptions/{server.subscription}"
    named = ("--assignee-object-id", person, "--assignee-principal-type", "User", "--role", "Reader", "--scope", scope)
    made = az("role", "assignment", "create", *named)
    assert (made["properties"]["principalId"], made["properties"]["scope"]) == (person, scope)
    assert az("role", "assignment", "create", *named)["id"] == made["id"]
    az("role", "assignment", "delete", "--ids", made["id"])
