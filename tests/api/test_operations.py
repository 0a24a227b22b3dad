"""Long-running operations as people browse them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from isthmus.store.tables import operations
from tests.api.conftest import Api

VERSION = "2026-11-01"


def path(api: Api) -> str:
    return f"/subscriptions/{api.subscription}/providers/Isthmus.Operations/longRunningOperations"


def opened(api: Api, id: str, status: str, started: int, ended: int | None = None, **more: Any) -> None:
    """An operation as the store holds it."""
    row = {
        "id": id,
        "resource": f"/subscriptions/{api.subscription}/resourceGroups/rg",
        "kind": "sync",
        "status": status,
        "started_at": started,
        "ended_at": ended,
        "percent": None,
        "location": "eastus",
        "subscription": api.subscription,
        "result": None,
        "error": None,
        "caller": "somebody",
        **more,
    }
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(operations).values(**row))


@pytest.fixture
def opened_api(api: Api) -> Api:
    """Two that run, three that ended, one of another subscription."""
    opened(api, "o1", "Running", 1_000)
    opened(api, "o2", "Failed", 2_000, 9_000, error='{"code": "X", "message": "No."}')
    opened(api, "o3", "Accepted", 3_000)
    opened(api, "o4", "Succeeded", 4_000, 5_000, result='{"found": 2}')
    opened(api, "o5", "Canceled", 5_000, 6_000)
    opened(api, "o6", "Running", 6_000, subscription="another")
    return api


def listed(api: Api, query: str = "", **more: Any) -> Any:
    answer = api.call("GET", path(api) + query, version=VERSION, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(body: Any) -> list[str]:
    return [one["name"] for one in body["value"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["o5", "o4", "o3", "o2", "o1"]),
        ("?$orderby=startTime", ["o1", "o2", "o3", "o4", "o5"]),
        ("?$orderby=endTime%20desc", ["o3", "o1", "o2", "o5", "o4"]),
        ("?$orderby=endTime", ["o4", "o5", "o2", "o1", "o3"]),
        ("?status=running", ["o3", "o1"]),
        ("?status=Failed", ["o2"]),
        ("?status=succeeded", ["o4"]),
        ("?status=canceled", ["o5"]),
        ("?$skip=1&$top=2&$orderby=endTime%20desc", ["o1", "o2"]),
    ],
)
def test_operations_are_filtered_and_ordered(opened_api: Api, query: str, found: list[str]) -> None:
    assert names(listed(opened_api, query)) == found


def test_windows_count_and_lead_on(opened_api: Api) -> None:
    page = listed(opened_api, "?$orderby=endTime%20desc&$count=true&$top=3")
    assert (page["count"], names(page)) == (5, ["o3", "o1", "o2"])
    following = opened_api.call("GET", page["nextLink"].removeprefix(opened_api.app.public_url), version="").json()
    assert (names(following), "nextLink" in following) == (["o5", "o4"], False)


def test_an_operation_tells_what_it_is_about_and_how_it_ended(opened_api: Api) -> None:
    failed = opened_api.call("GET", f"{path(opened_api)}/O2", version=VERSION).json()
    assert failed["properties"] == {
        "kind": "sync",
        "resourceId": f"/subscriptions/{opened_api.subscription}/resourceGroups/rg",
        "status": "Failed",
        "startTime": "1970-01-01T00:00:02.000Z",
        "endTime": "1970-01-01T00:00:09.000Z",
        "percentComplete": None,
        "startedBy": "somebody",
        "result": None,
        "error": {"code": "X", "message": "No."},
    }
    for missing in ("o6", "none"):
        assert opened_api.call("GET", f"{path(opened_api)}/{missing}", version=VERSION).status_code == 404


@pytest.mark.parametrize(
    ("query", "code"), [("?status=all", "InvalidFilter"), ("?status=", "InvalidFilter"), ("?$orderby=kind", "InvalidOrderBy")]
)
def test_what_is_not_understood_is_refused(api: Api, query: str, code: str) -> None:
    answer = api.call("GET", path(api) + query, version=VERSION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_operations_need_a_role_in_the_subscription(opened_api: Api) -> None:
    reader, of_group = (
        opened_api.client("Reader", f"/subscriptions/{opened_api.subscription}"),
        opened_api.client("Owner", opened_api.group()),
    )
    assert names(listed(opened_api, "?status=failed", token=reader)) == ["o2"]
    assert opened_api.call("GET", path(opened_api), version=VERSION, token=of_group).status_code == 403
