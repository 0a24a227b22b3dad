"""Random verbs, ids, queries, headers and bodies over the whole table: never a 5xx, every refusal in ARM's shape."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.app import build
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import parse_resource
from isthmus.arm.types import Actor
from isthmus.engine import Lookup
from isthmus.settings import Settings
from tests.api.conftest import PORT, Api
from tests.support.databases import Databases
from tests.support.examples import examples

HC = "providers/Microsoft.HybridConnectivity"
METHODS = ("GET", "HEAD", "PUT", "PUT", "PATCH", "PATCH", "DELETE", "POST", "POST", "OPTIONS", "BREW")
VERSIONS = ("2024-12-01", "2027-01-01", "2026-07-15", "2026-11-01", "2022-04-01", "2001-01-01", "latest", "")
PLUMBING = ("subscriptions", "resourceGroups", "resourcegroups", "resources", "locations", "providers", "tenants", "operationresults")
ACTIONS = (
    "testPermissions",
    "syncNow",
    "lint",
    "generateAwsTemplate",
    "register",
    "addSecret",
    "records",
    "signInLinks",
    "retry",
    "launch",
)
ACTIONS += ("explainTemplate", "compareTemplate", "validate", "template", "detect", "create")
WORDS = ("location", "tags", "properties", "hostType", "awsCloudProfile", "accountId", "excludedAccounts", "isOrganizationalAccount")
MORE_WORDS = ("solutionType", "solutionSettings", "periodicSync", "cloudProviderRegions", "arcOnboardEc2FilterTag", "connectorId", "vmId")
REST = (
    "clientPublicKey",
    "identity",
    "kind",
    "type",
    "roleDefinitionId",
    "principalId",
    "operation",
    "name",
    "displayName",
    "solutionTypes",
)
LIKELY = (
    "AWS",
    "eastus",
    "East US",
    "123456789012",
    "Microsoft.AssetManagement",
    "Microsoft.HybridCompute.Onboard",
    "true",
    "Merge",
    "Reader",
    "",
)


GOOD = tuple(
    json.dumps(body).encode()
    for body in (
        {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": "123456789012"}}},
        {"location": "eastus", "tags": {"a": "b"}, "properties": {"osName": "linux", "vmId": "4d7a9d0b-0000-4000-8000-000000000001"}},
        {"location": "eastus"},
        {"tags": {"a": "1"}},
        {"operation": "Merge", "properties": {"tags": {"x": "y"}}},
        {"properties": {"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"periodicSyncTime": "2"}}},
        {"properties": {"roleDefinitionId": "Reader", "principalId": "4d7a9d0b-0000-4000-8000-000000000001"}},
        {"connectorId": "conn", "solutionTypes": [{"solutionType": "Microsoft.AssetManagement"}]},
        {"properties": {"displayName": "Another"}},
        {"properties": {"step": "tags", "basics": {"accountId": "123456789012"}, "solutions": {"inventory": {"enabled": True}}}},
        {"name": "app"},
    )
)


class Estate:
    """An application with one of everything, reached without any client in between."""

    def __init__(self, api: Api) -> None:
        self.app, self.token = api.app, api.token
        group = api.group("here")
        connector = api.connector(group=group)
        solution = f"{connector}/{HC}/solutionConfigurations/inv"
        api.call("PUT", solution, {"properties": {"solutionType": "Microsoft.AssetManagement"}})
        machine = f"{group}/providers/Microsoft.HybridCompute/machines/i-0a"
        api.call("PUT", machine, {"location": "eastus", "properties": {}}, version="2026-07-15")
        volume = f"{group}/providers/Microsoft.AwsConnector/ec2Volumes/vol-1"
        made = Resource(id=parse_resource(volume), location="eastus", properties={"awsProperties": {}})
        api.app.engine.apply(Change(puts=(made,)), Actor(id="test", kind="Application"), "test/write", "/")
        self.scopes = ("", f"/subscriptions/{api.subscription}", group, connector, solution, machine, volume)
        self.types = {
            f"{provider['namespace']}/{kind['resourceType']}": kind["apiVersions"]
            for provider in api.call("GET", "/providers").json()["value"]
            for kind in provider["resourceTypes"]
        }
        self.known = tuple((scope, self.types[parse_resource(scope).type][0]) for scope in self.scopes[2:])

        found = (Lookup(api.app.engine.store).find(scope) for scope in self.scopes[2:])
        self.kept = [replace(resource, unique=None) for resource in found if resource is not None]

    def heal(self) -> None:
        """Put back what was deleted, the group first."""
        for part in (self.kept[:1], self.kept[1:]):
            self.app.engine.apply(Change(puts=tuple(part)), Actor(id="test", kind="Application"), "test/write", "/")

    def send(self, method: str, path: bytes, query: bytes, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """One request as it comes off the wire."""
        return asyncio.run(self._send(method, path, query, headers, body))

    async def _send(
        self, method: str, path: bytes, query: bytes, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[Any] = []
        lines = {"host": "localhost:8443", "authorization": f"Bearer {self.token}", "content-length": str(len(body)), **headers}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": bytes(path).decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in lines.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", PORT),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app.asgi(scope, receive, send)
        answered = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return sent[0]["status"], answered, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture(scope="module")
def estate(made_keys: Path, tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Estate]:
    """One application for all examples: what they do to one another is part of the test."""
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(made_keys, folder / "data" / "keys")
    url = databases.fresh_sqlite(folder / "isthmus.db")
    app = build(Settings(data=folder / "data", database_url=url), port=PORT, environ={})
    yield Estate(Api(app, folder / "data"))
    app.close()


nothing: st.SearchStrategy[dict[str, str]] = st.just({})
names = st.one_of(
    st.sampled_from(["conn", "inv", "default", "i-0a", "vol-1", "here", "operator", "new-1", "00000000-0000-0000-0000-000000000001"]),
    st.text(max_size=12),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(LIKELY)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS + MORE_WORDS + REST) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(WORDS + MORE_WORDS + REST), values, max_size=6)
connectors = st.fixed_dictionaries(
    {
        "location": st.sampled_from(["eastus", "mars", 7]) | values,
        "properties": st.fixed_dictionaries({"hostType": values, "awsCloudProfile": objects}),
    }
)
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=40),
    values.map(lambda v: json.dumps(v).encode()),
    (objects | connectors).map(lambda v: json.dumps(v).encode()),
)
etags = st.sampled_from(["*", '"stale"', "unquoted", "", 'W/"weak"', '"', "\x00\xff"]) | st.text(
    alphabet=st.characters(max_codepoint=255), max_size=9
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "if-match": etags,
        "if-none-match": etags,
        "content-type": st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", ""]),
        "x-ms-client-request-id": etags,
        "x-ms-return-client-request-id": st.just("true"),
        "x-ms-correlation-request-id": etags,
        "host": st.sampled_from(["evil.example", "127.0.0.1:8443", ""]),
        "authorization": st.sampled_from(["", "Bearer", "Bearer x.y.z", "Basic abc"]),
    },
)
queries = st.fixed_dictionaries(
    {},
    optional={
        "$top": st.sampled_from(["1", "0", "-1", "1000", "x", "²", "9" * 30]),
        "$skiptoken": st.sampled_from(["", "AAAA", "%", "L3N1YnNjcmlwdGlvbnM"]) | st.text(max_size=8),
        "$filter": st.sampled_from(["atScope()", "name eq 'x'", "tagName eq 'a'", "resourceGroup eq 'here'", "name eq 'it''s'"])
        | st.text(max_size=20),
        "$expand": st.text(max_size=12),
        "$skip": st.sampled_from(["0", "1", "10000000", "10000001", "-1", "", "x", "²", "9" * 30]),
        "$orderby": st.sampled_from(["name", "type desc", "changedAt", "name,type", "", "1"]) | st.text(max_size=8),
        "$count": st.sampled_from(["true", "false", "", "1"]),
        "name": st.sampled_from(["vol", "%", "_", "'", "\x00"]) | st.text(max_size=8),
        "tag": st.sampled_from(["a", "a:b", "::", "\x1f"]) | st.text(max_size=8),
        "account": st.sampled_from(["123456789012", "12345678901²", ""]) | st.text(max_size=12),
        "region": st.sampled_from(["global", "eu-west-1", "EU West"]) | st.text(max_size=8),
        "type": st.sampled_from(["ec2Volumes", "EC2VOLUMES", "nothing"]) | st.text(max_size=8),
        "direction": st.sampled_from(["uses", "HOSTS", "up", ""]) | st.text(max_size=8),
    },
)


@st.composite
def places(draw: st.DrawFn, estate: Estate) -> tuple[str, str]:
    """Ids that are right, nearly right, and nothing at all; with an api-version that mostly fits."""
    version = "2024-12-01"
    scope = draw(st.sampled_from(estate.scopes))
    kind = draw(st.sampled_from(["known", "known", "known", "type", "type", "scope", "plumbing", "words"]))
    if kind == "known":
        path, version = draw(st.sampled_from(estate.known))
        if draw(st.integers(0, 4)) == 0:
            path = path.rpartition("/")[0]
    elif kind == "type":
        full = draw(st.sampled_from(sorted(estate.types)))
        namespace, *parts = full.split("/")
        version = draw(st.sampled_from(estate.types[full]))
        rest = "".join(f"/{part}/{quote(draw(names), safe='')}" for part in parts)
        path = f"{scope}/providers/{namespace}{rest}"
        if draw(st.booleans()):
            path = path.rpartition("/")[0]
    elif kind == "scope":
        path = scope
    elif kind == "plumbing":
        path = f"{scope}/{draw(st.sampled_from(PLUMBING))}/{quote(draw(names), safe='')}"
    else:
        path = "/" + "/".join(draw(st.lists(st.sampled_from((*PLUMBING, "", "..", "%2e", "%00", "%ff")) | st.text(max_size=6), max_size=6)))
    if draw(st.integers(0, 3)) == 0:
        path += f"/{draw(st.sampled_from(ACTIONS))}"
    return path, draw(st.sampled_from([version] * 8 + list(VERSIONS)))


@settings(max_examples=examples(500), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), method=st.sampled_from(METHODS), query=nothing | queries, sent=nothing | nothing | headers, body=bodies)
def test_nothing_breaks_the_server(
    estate: Estate, data: st.DataObject, method: str, query: dict[str, str], sent: dict[str, str], body: bytes
) -> None:
    path, version = data.draw(places(estate))
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in {**query, "api-version": version}.items())
    status, answered, content = estate.send(method, path.encode("utf-8"), pairs.encode(), sent, body)
    assert 200 <= status < 500, (method, path, pairs, body, content)
    if method == "HEAD" or status in (204, 304):
        assert content == b""
    elif status >= 400:
        error = json.loads(content)["error"]
        assert isinstance(error["code"], str), content
        assert isinstance(error["message"], str), content
        assert len(error["message"]) > 5
        assert answered["content-type"].startswith("application/json")
        assert {"x-ms-request-id", "x-ms-correlation-request-id"} <= set(answered)
    elif content and answered["content-type"].startswith("application/json"):
        json.loads(content)
    if method == "DELETE" and status in (200, 202, 204):
        estate.heal()
    if status == 202:
        assert answered["location"].startswith("https://")
        assert answered["retry-after"].isdigit()
