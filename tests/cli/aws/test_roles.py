"""`isthmus aws roles`: what can be taken, and what came of asking for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from isthmus.cli.aws.commands import roles
from isthmus.cli.formats import Output
from isthmus.cli.session import Session
from isthmus.client import Client

ASKED = {"name": "r-1", "properties": {"role": "1.Operator", "approvals": 0, "approvalsNeeded": 1, "askedAt": ""}}


def role(name: str, state: str, details: str) -> dict[str, Any]:
    return {"name": name, "properties": {"accountId": "1", "state": state, "stateDetails": details}}


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def session(asked: list[str]) -> Iterator[Session]:
    """Somebody whose request for one of two roles waits since three minutes."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url.path} {request.url.params.get('state', '')}".strip())
        if request.url.path.endswith("/requests"):
            at = datetime.fromtimestamp(time.time() - 185, UTC).isoformat()
            return httpx.Response(200, json={"value": [{**ASKED, "properties": {**ASKED["properties"], "askedAt": at}}]})
        waiting = [role(name, "RequestNeeded", "Ask for it: isthmus access request") for name in ("1.Operator", "1.Root")]
        return httpx.Response(200, json={"value": [role("1.Reader", "Available", "Because of group:g."), *waiting]})

    made = Session()
    with Client("https://arm.test", lambda: "token", verify=(), transport=httpx.MockTransport(answer)) as client:
        vars(made)["client"] = client
        yield made


def test_a_request_that_waits_is_shown_instead_of_the_advice_to_ask(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    roles(session)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "Requested 3 min ago, 0 of 1 approvals: r-1" in lines["1.Operator"]
    assert "Ask for it" in lines["1.Root"]
    assert "Because of group:g." in lines["1.Reader"]


def test_programs_find_the_request_beside(session: Session, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    session.output = Output.JSON
    roles(session)
    found = {one["name"]: one["properties"] for one in json.loads(capsys.readouterr().out)}
    assert {name: one.get("request") for name, one in found.items()} == {"1.Reader": None, "1.Operator": "r-1", "1.Root": None}
    assert {one["state"] for one in found.values()} == {"Available", "RequestNeeded"}
    assert asked == ["/providers/Isthmus.Access/roles", "/providers/Isthmus.Access/requests Pending"]
