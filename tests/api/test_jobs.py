"""Durable work as operators see it: listed, counted, run again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from isthmus.providers.resources import DELETE_GROUP
from isthmus.store.tables import audit_records
from tests.api.conftest import Api
from tests.api.seeds import fail_jobs, order_job
from tests.work.conftest import is_of_timetable

JOBS = "/providers/Isthmus.Operations/jobs"
VERSION = "2026-11-01"


def listed(api: Api, query: str = "", **more: Any) -> Any:
    answer = api.call("GET", JOBS + query, version=VERSION, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(body: Any) -> list[str]:
    return [one["name"] for one in body["value"] if not is_of_timetable(one["properties"]["job"])]


def test_an_empty_installation_has_no_jobs(api: Api) -> None:
    assert listed(api, "?$count=true") == {"value": [], "count": 0}


def test_jobs_are_listed_by_state_and_say_why_they_failed(api: Api) -> None:
    fail_jobs(api, "f1", "f2")
    order_job(api, "w1", api.group())
    assert names(listed(api, "?state=running")) == ["w1"]
    failed = listed(api, "?state=Failed&$count=true&$top=1")
    assert (names(failed), failed["count"]) == (["f2"], 2), "newest first"
    assert names(api.call("GET", failed["nextLink"].removeprefix(api.app.public_url), version="").json()) == ["f1"]
    assert names(listed(api, "?state=failed&$orderby=createdAt")) == ["f1", "f2"]
    properties = failed["value"][0]["properties"]
    assert {key: properties[key] for key in ("job", "queue", "state", "engineState", "recoveries")} == {
        "job": DELETE_GROUP,
        "queue": "requests",
        "state": "failed",
        "engineState": "ERROR",
        "recoveries": 0,
    }
    assert properties["error"]["code"] == "InvalidResourceId"
    assert set(properties) == {*("job", "queue", "state", "engineState", "executor", "createdAt", "changedAt", "recoveries", "error")}
    assert set(names(listed(api))) >= {"f1", "f2", "w1"}
    assert api.call("GET", f"{JOBS}/f1", version=VERSION).json()["properties"]["state"] == "failed"
    assert api.call("GET", f"{JOBS}/never", version=VERSION).status_code == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [("?state=asleep", "InvalidFilter"), ("?state=", "InvalidFilter"), ("?$orderby=job", "InvalidOrderBy"), ("?$skip=-1", "InvalidSkip")],
)
def test_filters_that_are_not_understood_are_refused(api: Api, query: str, code: str) -> None:
    answer = api.call("GET", JOBS + query, version=VERSION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_failed_job_runs_again_and_that_is_on_record(api: Api) -> None:
    fail_jobs(api, "f1")
    answer = api.call("POST", f"{JOBS}/f1/retry", version=VERSION)
    assert (answer.status_code, answer.json()["properties"]["state"]) == (200, "running")
    with api.app.engine.store.read() as connection:
        action = "Isthmus.Operations/jobs/retry/action"
        record = connection.execute(select(audit_records).where(audit_records.c.action == action)).one()
    assert (record.target, record.outcome) == (f"{JOBS}/f1", "accepted")
    again = api.call("POST", f"{JOBS}/f1/retry", version=VERSION)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "Conflict")
    unknown = api.call("POST", f"{JOBS}/never/retry", version=VERSION)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "JobNotFound")


def test_jobs_need_a_role_in_the_whole_tenant(api: Api) -> None:
    fail_jobs(api, "f1")
    reader, of_group, stranger = api.client("Reader"), api.client("Owner", api.group()), api.client(None)
    assert names(listed(api, "?state=failed", token=reader)) == ["f1"]
    assert api.call("POST", f"{JOBS}/f1/retry", version=VERSION, token=reader).status_code == 403
    for token in (of_group, stranger):
        for method, path in (("GET", JOBS), ("GET", f"{JOBS}/f1"), ("POST", f"{JOBS}/f1/retry")):
            assert api.call(method, path, version=VERSION, token=token).status_code == 403
    assert api.call("POST", f"{JOBS}/f1/retry", version=VERSION, token=api.client("Contributor")).status_code == 200
