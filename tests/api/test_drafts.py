"""Drafts: what was typed is kept, everything wrong is told at once, and creation is whole or not at all."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import func, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import parse_resource
from isthmus.arm.types import Actor
from isthmus.store.tables import audit_records, resources
from tests.api.conftest import Api

VERSION = "2026-11-01"
ACCOUNT = "123456789012"
INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"
READY: dict[str, Any] = {
    "step": "review",
    "basics": {"resourceGroup": "clouds", "connectorName": "shop", "location": "East US", "accountId": ACCOUNT},
    "solutions": {
        "inventory": {"enabled": True, "settings": {"periodicSyncTime": "4"}},
        "onboarding": {"enabled": True, "settings": {"arcOnboardEc2FilterTag": "arc:yes"}},
    },
    "tags": {"team": "platform"},
}


def draft_id(api: Api, name: str = "first") -> str:
    return f"/subscriptions/{api.subscription}/providers/Isthmus.Connect/drafts/{name}"


def call(api: Api, method: str, path: str, body: Any = None, **more: Any) -> Any:
    return api.call(method, path, body, version=VERSION, **more)


def put(api: Api, properties: dict[str, Any], name: str = "first") -> str:
    answer = call(api, "PUT", draft_id(api, name), {"properties": properties})
    assert answer.status_code in (200, 201), answer.text
    return draft_id(api, name)


def stored(api: Api) -> set[tuple[str, str]]:
    with api.app.engine.store.read() as connection:
        return {(row.key, row.etag) for row in connection.execute(select(resources.c.key, resources.c.etag))}


def audited(api: Api) -> int:
    with api.app.engine.store.read() as connection:
        return connection.execute(select(func.count()).select_from(audit_records)).scalar() or 0


def judged(api: Api, draft: str, **more: Any) -> dict[str, list[tuple[str, str, str]]]:
    answer = call(api, "POST", f"{draft}/validate", **more)
    assert answer.status_code == 200, answer.text
    steps = answer.json()["steps"]
    assert all(len(one["message"]) > 10 and len(one["remedy"]) > 8 for found in steps.values() for one in found)
    return {step: [(one["target"], one["code"], one["severity"]) for one in found] for step, found in steps.items()}


def test_a_draft_keeps_what_was_typed(api: Api) -> None:
    typed = {"step": "basics", "basics": {"accountId": "12 34", "connectorName": "a_b"}}
    made = call(api, "PUT", draft_id(api), {"properties": typed})
    assert made.status_code == 201
    properties = made.json()["properties"]
    guid = properties.pop("connectorPrimaryIdentifier")
    assert (len(guid), properties) == (36, typed)
    patch = {"basics": {"connectorName": None, "location": "nowhere"}, "solutions": {"inventory": {"enabled": True}}, "tags": {"a": "b"}}
    call(api, "PATCH", draft_id(api), {"properties": patch})
    call(api, "PATCH", draft_id(api), {"properties": {"tags": {"c": "d"}, "solutions": {"inventory": {"settings": {"x": "y"}}}}})
    assert call(api, "GET", draft_id(api)).json()["properties"] == {
        "step": "basics",
        "basics": {"accountId": "12 34", "location": "nowhere"},
        "solutions": {"inventory": {"enabled": True, "settings": {"x": "y"}}},
        "tags": {"c": "d"},
        "connectorPrimaryIdentifier": guid,
    }
    again = call(api, "PUT", draft_id(api), {"properties": {"connectorPrimaryIdentifier": "mine", "arrivals": {"x": "y"}}})
    assert (again.status_code, again.json()["properties"]) == (200, {"step": "basics", "connectorPrimaryIdentifier": guid})
    listed = call(api, "GET", f"/subscriptions/{api.subscription}/providers/Isthmus.Connect/drafts").json()["value"]
    assert [one["name"] for one in listed] == ["first"]
    assert call(api, "DELETE", draft_id(api)).status_code == 200
    assert call(api, "GET", draft_id(api)).status_code == 404


def test_a_draft_waits_from_the_template_on(api: Api) -> None:
    put(api, {**READY, "step": "solutions"})
    assert "awaiting" not in call(api, "GET", draft_id(api)).json()["properties"]
    first = call(api, "PATCH", draft_id(api), {"properties": {"step": "template"}}).json()["properties"]["awaiting"]
    assert call(api, "PATCH", draft_id(api), {"properties": {"step": "tags"}}).json()["properties"]["awaiting"] == first
    assert "awaiting" not in call(api, "PATCH", draft_id(api), {"properties": {"step": "basics"}}).json()["properties"]


def test_what_is_known_of_the_stack_goes_with_what_it_was_asked_for(api: Api) -> None:
    draft = put(api, READY)
    old = api.app.engine
    known = {INVENTORY: {"status": "Arrived"}, ONBOARDING: {"status": "Waiting"}}

    def note(found: Resource | None) -> Change:
        assert found is not None
        return Change(puts=(Resource(id=found.id, properties={**found.properties, "arrivals": known}),))

    old.write(parse_resource(draft), note, Actor(id="t", kind="User"), "t")
    kept = call(api, "PATCH", draft, {"properties": {"solutions": {"onboarding": {"enabled": False}}}}).json()["properties"]
    assert kept["arrivals"] == {INVENTORY: {"status": "Arrived"}}
    gone = call(api, "PATCH", draft, {"properties": {"basics": {"accountId": "999999999999"}}}).json()["properties"]
    assert "arrivals" not in gone


SHAPES: list[tuple[Any, str]] = [
    ({"step": "six"}, "properties.step"),
    ({"basics": "x"}, "properties.basics"),
    ({"basics": {"accountId": 123456789012}}, "properties.basics.accountId"),
    ({"basics": {"excludedAccounts": "1"}}, "properties.basics.excludedAccounts"),
    ({"solutions": {"inventory": {"enabled": "yes"}}}, "properties.solutions.inventory.enabled"),
    ({"solutions": {"onboarding": {"settings": {"periodicSync": True}}}}, "properties.solutions.onboarding.settings.periodicSync"),
    ({"tags": {"a": 1}}, "properties.tags.a"),
    ({"tags": {"a": "x" * 40_000}}, "properties"),
    ([], "properties"),
    ("text", "properties"),
]


def test_a_wrong_shape_is_refused(api: Api) -> None:
    put(api, READY)
    before = stored(api)
    for method in ("PUT", "PATCH"):
        for properties, target in SHAPES:
            answer = call(api, method, draft_id(api), {"properties": properties})
            assert (answer.status_code, answer.json()["error"]["target"]) == (400, target), (method, answer.text)
    assert stored(api) == before


def test_a_subscription_has_a_hundred_drafts_at_most(api: Api) -> None:
    ids = [parse_resource(draft_id(api, f"d{number}")) for number in range(100)]
    puts = tuple(Resource(id=id, properties={"connectorPrimaryIdentifier": "x"}) for id in ids)
    api.app.engine.apply(Change(puts=puts), Actor(id="t", kind="User"), "t", "/")
    answer = call(api, "PUT", draft_id(api, "one-more"), {"properties": {}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "TooManyDrafts")
    assert call(api, "PUT", draft_id(api, "d7"), {"properties": {}}).status_code == 200


def test_an_empty_draft_is_told_all_that_is_missing(api: Api) -> None:
    assert judged(api, put(api, {})) == {
        "basics": [
            ("basics.resourceGroup", "ValueRequired", "error"),
            ("basics.connectorName", "ValueRequired", "error"),
            ("basics.accountId", "InvalidParameter", "error"),
            ("basics.location", "LocationRequired", "error"),
        ],
        "solutions": [("solutions", "NoSolutionChosen", "warning")],
        "template": [],
        "tags": [],
    }


def test_everything_wrong_is_told_at_once(api: Api) -> None:
    wrong = {
        "basics": {
            "resourceGroup": "ends.with.dot.",
            "connectorName": "a_b",
            "location": "!",
            "accountId": "12345",
            "isOrganizationalAccount": True,
            "excludedAccounts": ["1", "111111111111", "x"],
        },
        "solutions": {
            "inventory": {"enabled": True, "settings": {"cloudProviderServiceTypes": "ec2, telepathy", "periodicSyncTime": "3", "no": ""}},
            "onboarding": {"enabled": True, "settings": {"proxyServer": "ftp://x", "cloudProviderRegions": "mars"}},
        },
        "tags": {"a<b": "c", "long": "x" * 257, "fine": "yes"},
    }
    found = judged(api, put(api, wrong))
    assert [(target, code) for target, code, _ in found["basics"]] == [
        ("basics.resourceGroup", "InvalidResourceName"),
        ("basics.connectorName", "InvalidResourceName"),
        ("basics.accountId", "InvalidParameter"),
        ("basics.excludedAccounts.0", "InvalidParameter"),
        ("basics.excludedAccounts.2", "InvalidParameter"),
        ("basics.location", "InvalidLocation"),
    ]
    assert {(target, code) for target, code, _ in found["solutions"]} == {
        ("solutions.inventory.settings.no", "InvalidSolutionSetting"),
        ("solutions.inventory.settings.cloudProviderServiceTypes", "InvalidSolutionSetting"),
        ("solutions.inventory.settings.periodicSyncTime", "InvalidSolutionSetting"),
        ("solutions.onboarding.settings.proxyServer", "InvalidSolutionSetting"),
        ("solutions.onboarding.settings.cloudProviderRegions", "InvalidSolutionSetting"),
    }
    assert [target for target, _, _ in found["tags"]] == ["tags.a<b", "tags.long"]
    before = stored(api)
    refusal = call(api, "POST", f"{draft_id(api)}/create").json()["error"]
    assert refusal["code"] == "DraftNotReady"
    assert len(refusal["details"]) == 13
    assert stored(api) == before


RULES: list[tuple[dict[str, Any], str, tuple[str, str]]] = [
    ({"basics": {"isOrganizationalAccount": True}}, "basics", ("basics.isOrganizationalAccount", "OrganizationConnectorNotSupported")),
    (
        {"solutions": {"inventory": {"settings": {"awsGlobalReadOnly": "false"}}}},
        "solutions",
        ("solutions.inventory.settings.awsGlobalReadOnly", "GlobalReadRequired"),
    ),
    ({"tags": {"Team": "a", "team": "b"}}, "tags", ("tags", "InvalidTags")),
    ({"basics": {"resourceGroup": "leaving"}}, "basics", ("basics.resourceGroup", "ResourceGroupBeingDeleted")),
    ({"basics": {"resourceGroup": "taken", "connectorName": "conn"}}, "basics", ("basics.connectorName", "ConnectorExists")),
    ({"basics": {"accountId": "999999999999"}}, "basics", ("basics.accountId", "DuplicateResource")),
]


def test_rules_of_the_wizard(api: Api) -> None:
    api.connector(account="999999999999", group=api.group("taken"))
    api.call("DELETE", api.group("leaving"))
    for change, step, finding in RULES:
        draft = put(api, READY)
        call(api, "PATCH", draft, {"properties": change})
        assert judged(api, draft)[step] == [(*finding, "error")], change
        assert call(api, "POST", f"{draft}/create").status_code == 400


def test_least_privilege_with_a_list_of_services_is_fine(api: Api) -> None:
    draft = put(api, READY)
    settings = {"awsGlobalReadOnly": "false", "cloudProviderServiceTypes": "ec2, s3"}
    call(api, "PATCH", draft, {"properties": {"solutions": {"inventory": {"settings": settings}}}})
    assert judged(api, draft)["solutions"] == []


def test_validation_says_what_becomes_of_the_group_and_the_stack(api: Api) -> None:
    draft = put(api, READY)
    answer = call(api, "POST", f"{draft}/validate").json()
    assert (answer["isReady"], answer["resourceGroup"]) == (True, {"name": "clouds", "exists": False, "location": "eastus"})
    (waiting,) = answer["steps"]["template"]
    assert (waiting["code"], waiting["severity"]) == ("StackNotArrived", "warning")
    assert api.call("PUT", f"/subscriptions/{api.subscription}/resourceGroups/Clouds", {"location": "westeurope"}).status_code == 201
    answer = call(api, "POST", f"{draft}/validate").json()
    assert answer["resourceGroup"] == {"name": "Clouds", "exists": True, "location": "westeurope"}


def test_what_a_caller_may_not_read_stays_unnamed(api: Api) -> None:
    theirs = api.connector(group=api.group("theirs"))
    draft = put(api, READY)
    assert theirs in call(api, "POST", f"{draft}/validate").text
    stranger = api.client("Reader", draft)
    answer = call(api, "POST", f"{draft}/validate", token=stranger)
    assert (answer.status_code, "theirs" in answer.text) == (200, False)
    assert next((one["target"], one["code"]) for one in answer.json()["steps"]["basics"]) == ("basics.accountId", "DuplicateResource")
    # Whether a group or a connector of a name exists is not told either.
    call(api, "PATCH", draft, {"properties": {"basics": {"resourceGroup": "theirs", "connectorName": "conn", "accountId": "999999999999"}}})
    there = call(api, "POST", f"{draft}/validate", token=stranger).json()
    call(api, "PATCH", draft, {"properties": {"basics": {"resourceGroup": "nobody", "connectorName": "conn"}}})
    missing = call(api, "POST", f"{draft}/validate", token=stranger).json()
    assert there["resourceGroup"] == {"name": "theirs", "exists": None, "location": None}
    assert [one["code"] for one in there["steps"]["basics"]] == [one["code"] for one in missing["steps"]["basics"]]


def test_creation_makes_everything_at_once(api: Api) -> None:
    draft = put(api, READY)
    guid = call(api, "GET", draft).json()["properties"]["connectorPrimaryIdentifier"]
    told = call(api, "POST", f"{draft}/template").json()
    records = audited(api)
    answer = call(api, "POST", f"{draft}/create")
    assert answer.status_code == 201, answer.text
    group = f"/subscriptions/{api.subscription}/resourceGroups/clouds"
    connector = answer.json()
    assert connector["id"] == f"{group}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/shop"
    assert connector["properties"]["connectorPrimaryIdentifier"] == guid
    assert (connector["location"], connector["tags"]) == ("eastus", {"team": "platform"})
    assert connector["systemData"]["createdByType"] == "Application"
    made = api.call("GET", group).json()
    assert (made["location"], made["tags"]) == ("eastus", {"team": "platform"})
    solutions = api.call("GET", f"{connector['id']}/providers/Microsoft.HybridConnectivity/solutionConfigurations").json()["value"]
    by_name = {one["name"]: one["properties"] for one in solutions}
    assert {name: one["solutionType"] for name, one in by_name.items()} == {"inventory": INVENTORY, "onboarding": ONBOARDING}
    assert by_name["inventory"]["solutionSettings"]["periodicSyncTime"] == "4"
    assert {one["status"] for one in by_name.values()} == {"AuthorizationPending"}
    assert sorted(record.job for record in api.app.work.list()) == ["inventory.sync", "onboarding.sync"]
    assert audited(api) == records + 1, "one change, one record"
    again = call(api, "POST", f"{draft}/create")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "ResourceNotFound")
    # The template that was deployed before the connector existed is the connector's own.
    ours = api.call(
        "POST",
        f"/subscriptions/{api.subscription}/providers/Microsoft.HybridConnectivity/generateAwsTemplate",
        {"connectorId": connector["id"]},
    )
    assert ours.json() == told["template"]


def test_creation_uses_the_group_that_is_there_and_leaves_its_tags(api: Api) -> None:
    group = api.group("clouds")
    draft = put(api, {**READY, "solutions": {}})
    assert call(api, "POST", f"{draft}/create").status_code == 201
    assert api.call("GET", group).json()["tags"] == {}
    assert api.app.work.list() == []


def test_a_draft_is_created_once_however_many_ask(api: Api) -> None:
    draft = put(api, READY)
    gate = threading.Barrier(4)
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        gate.wait()
        answer = call(api, "POST", f"{draft}/create")
        answers.append((answer.status_code, answer.json().get("error", {}).get("code", "")))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(201, ""), (404, "ResourceNotFound"), (404, "ResourceNotFound"), (404, "ResourceNotFound")]


def test_rights(api: Api) -> None:
    draft = put(api, READY)
    scope = f"/subscriptions/{api.subscription}"
    reader = api.client("Reader", scope)
    records = audited(api)
    assert call(api, "GET", draft, token=reader).status_code == 200
    assert call(api, "POST", f"{draft}/template", token=reader).status_code == 200
    assert audited(api) == records, "reading leaves no record"
    found = judged(api, draft, token=reader)["basics"]
    assert {(target, code, severity) for target, code, severity in found} == {("basics.resourceGroup", "AuthorizationFailed", "warning")}
    for action in ("create", "detect"):
        assert call(api, "POST", f"{draft}/{action}", token=reader).status_code == 403
    assert call(api, "PUT", draft, {"properties": {}}, token=reader).status_code == 403
    assert call(api, "DELETE", draft, token=reader).status_code == 403
    assert call(api, "GET", draft, token=api.client(None)).status_code == 403
    # Who may use the draft may not therefore write groups and connectors.
    before = stored(api)
    refusal = call(api, "POST", f"{draft}/create", token=api.client("Contributor", draft))
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert stored(api) >= before
    assert call(api, "POST", f"{draft}/create", token=api.client("Contributor", scope)).status_code == 201


def test_detection_is_an_operation_and_needs_something_to_detect(api: Api) -> None:
    draft = put(api, {"basics": {"accountId": ACCOUNT}})
    answer = call(api, "POST", f"{draft}/detect")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "NothingToDetect")
    put(api, READY)
    answer = call(api, "POST", f"{draft}/detect")
    assert (answer.status_code, answer.headers["Location"]) == (202, answer.headers["Azure-AsyncOperation"])
    assert [record.job for record in api.app.work.list()] == ["draft.detect"]
    assert call(api, "GET", answer.headers["Location"].removeprefix(api.app.public_url)).status_code in (200, 202)
