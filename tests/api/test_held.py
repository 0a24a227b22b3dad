"""Grants, sessions and revocations over HTTP: nothing is cut, pages go on by key, bad questions are refused, everybody ends their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert

from isthmus.store.tables import access_grants, access_requests, access_revocations, access_sessions
from tests.access.test_review import grant, session
from tests.api.conftest import Api
from tests.api.people import Visitor

OURS = "2026-11-01"
ACCESS = "/providers/Isthmus.Access"
MANY = 1_203


def follow(api: Api, path: str) -> list[list[dict[str, Any]]]:
    answer = api.call("GET", path, version=OURS).json()
    found = [answer["value"]]
    while "nextLink" in answer:
        parts = urlsplit(answer["nextLink"])
        answer = api.call("GET", f"{parts.path}?{parts.query}", version="").json()
        found.append(answer["value"])
    return found


def seed(api: Api) -> int:
    """Many of each; the instant of the newest."""
    now = api.app.engine.now()
    grants = [grant(f"G-{number:05d}", "alice", "operator", now - number, now + 10**9) for number in range(MANY)]
    sessions = [session(f"A{number:05d}", "alice", "operator", now - number) for number in range(MANY)]
    texts = {"person": "alice", "grant": "", "actor": "a", "reason": "r", "before": now, "until": now}
    revocations = [{"id": f"r{number:05d}", **texts, "at": now - number} for number in range(MANY)]
    with api.app.engine.store.begin() as connection:
        for table, rows in ((access_grants, grants), (access_sessions, sessions), (access_revocations, revocations)):
            connection.execute(insert(table), rows)
    return now


def test_no_list_is_cut(api: Api) -> None:
    seed(api)
    for kind, prefix in (("grants", "G-"), ("sessions", "A"), ("revocations", "r")):
        pages = follow(api, f"{ACCESS}/{kind}?$top=500&$count=true")
        assert [len(page) for page in pages] == [500, 500, MANY - 1_000], kind
        assert [one["name"] for page in pages for one in page] == [f"{prefix}{number:05d}" for number in range(MANY)], kind
        first = api.call("GET", f"{ACCESS}/{kind}?$top=1&$count=true", version=OURS).json()
        assert (first["count"], "nextLink" in first) == (MANY, True)
        last = api.call("GET", f"{ACCESS}/{kind}?person=nobody&$count=true", version=OURS).json()
        assert last == {"value": [], "count": 0}


def test_requests_are_not_cut_either(api: Api) -> None:
    """Readers of the tenant see all of them, in any state; everybody else their own."""
    now = api.app.engine.now()
    texts = {"mapping": "m", "name": "Alice", "sign_in": "s", "reason": "r", "decisions": "[]", "is_break_glass": False, "seconds": 60}
    rows = [
        {"id": f"q{number:05d}", "person": "alice", **texts, "state": "Denied", "asked_at": now - number, "expires_at": now}
        for number in range(MANY)
    ]
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(access_requests), rows)
    pages = follow(api, f"{ACCESS}/requests?$top=500&state=denied")
    assert [one["name"] for page in pages for one in page] == [f"q{number:05d}" for number in range(MANY)]
    assert follow(api, f"{ACCESS}/requests?whose=mine") == [[]]
    mine = api.call("GET", f"{ACCESS}/requests", version=OURS, token=Visitor(api, "bob").token).json()
    assert mine == {"value": []}
    answer = api.call("GET", f"{ACCESS}/requests?whose=hers", version=OURS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidFilter")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=lost", "InvalidState"),
        ("$skiptoken=bm9wZQ", "InvalidSkipToken"),
        ("$skiptoken=MTIz", "InvalidSkipToken"),
        ("$top=0", "InvalidTop"),
        ("$count=maybe", "InvalidCount"),
        ("person=%07", "InvalidFilter"),
        ("mapping=" + "m" * 2049, "InvalidFilter"),
    ],
)
@pytest.mark.parametrize("kind", ["grants", "sessions", "revocations"])
def test_bad_questions_are_refused(api: Api, kind: str, query: str, code: str) -> None:
    answer = api.call("GET", f"{ACCESS}/{kind}?{query}", version=OURS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_everybody_ends_their_own_grant_and_nobody_elses(api: Api) -> None:
    alice, bob = Visitor(api, "alice"), Visitor(api, "bob")
    now = api.app.engine.now()
    rows = [grant(id, alice.id, "operator", now - 1, now + 10**6) for id in ("G-1", "G-2")]
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(access_grants), rows)
    for path in ("G-1", "G-NONE"):
        answer = api.call("POST", f"{ACCESS}/grants/{path}/end", {"reason": "x"}, version=OURS, token=bob.token)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")
    answer = api.call("POST", f"{ACCESS}/grants/G-1/end", {"reason": "done"}, version=OURS, token=alice.token)
    assert (answer.status_code, answer.json()) == (200, {"revocations": [], "reason": "done", "wasOver": False, "isOwn": True})
    assert api.call("POST", f"{ACCESS}/grants/G-1/end", {"reason": "more"}, version=OURS, token=alice.token).json()["wasOver"]
    states = {one["name"]: one["properties"] for one in follow(api, f"{ACCESS}/grants")[0]}
    assert (states["G-1"]["state"], states["G-1"]["ending"], states["G-2"]["state"]) == ("Ended", "done", "Active")


def test_without_a_reason_it_is_said_who_ended_a_grant(api: Api) -> None:
    alice = Visitor(api, "alice")
    now = api.app.engine.now()
    rows = [grant(id, alice.id, "operator", now - 1, now + 10**6) for id in ("G-1", "G-2")]
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(access_grants), rows)
    assert api.call("POST", f"{ACCESS}/grants/G-1/end", version=OURS, token=alice.token).status_code == 200
    assert api.call("POST", f"{ACCESS}/grants/G-2/end", version=OURS).status_code == 200
    endings = {one["name"]: one["properties"]["ending"] for one in follow(api, f"{ACCESS}/grants")[0]}
    assert endings == {"G-1": "Given back.", "G-2": "Ended by an administrator."}


def test_a_session_is_shown_to_whose_it_is_and_to_readers(api: Api) -> None:
    alice, bob = Visitor(api, "alice"), Visitor(api, "bob")
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(access_sessions), [session("ASIA1", alice.id, "operator", api.app.engine.now())])
    path = f"{ACCESS}/sessions/ASIA1"
    for token in (alice.token, api.client("Reader")):
        assert api.call("GET", path, version=OURS, token=token).json()["properties"]["accessKeyId"] == "ASIA1"
    for place, token, expected in (
        (path, bob.token, 403),
        (f"{ACCESS}/sessions/ASIA2", bob.token, 403),
        (f"{ACCESS}/sessions/ASIA2", None, 404),
    ):
        assert api.call("GET", place, version=OURS, token=token).status_code == expected, place


def test_everybody_lists_their_own_grants_and_sessions_and_nobody_elses(api: Api) -> None:
    alice, bob = Visitor(api, name="Alice"), Visitor(api, name="Bob")
    now = api.app.engine.now()
    with api.app.engine.store.begin() as connection:
        for who, number in ((alice, 1), (bob, 2)):
            connection.execute(insert(access_grants), [grant(f"G-{number}", who.id, "operator", now, now + 10**6)])
            connection.execute(insert(access_sessions), [session(f"A{number}", who.id, "operator", now)])
    for kind, own in (("grants", "G-1"), ("sessions", "A1")):
        listed = api.call("GET", f"{ACCESS}/{kind}?person={alice.id.upper()}&$count=true", version=OURS, token=alice.token)
        assert ([one["name"] for one in listed.json()["value"]], listed.json()["count"]) == ([own], 1)
        for query in ("", f"?person={bob.id}", "?state=active" if kind == "grants" else "?state=live"):
            refused = api.call("GET", f"{ACCESS}/{kind}{query}", version=OURS, token=alice.token)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed"), query
    assert api.call("GET", f"{ACCESS}/revocations?person={alice.id}", version=OURS, token=alice.token).status_code == 403
