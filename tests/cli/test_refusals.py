"""What the command line refuses before it asks anybody anything, and to whom it sends who may see nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.access.asking import request as ask_for
from isthmus.cli.aws.taking import take
from isthmus.cli.issuer import drill
from isthmus.cli.session import Session
from isthmus.client import Client

EXAMINED = {
    "keys": [{"kid": "k-2", "state": "next", "createdAt": "x", "retiresAt": None}],
    "published": {"kids": ["k-2"], "lookedAt": "https://idp.test/keys", "problem": "", "showsNext": True},
    "accounts": [],
    "nextSignsFrom": "2026-11-30T04:00:00Z",
    "nextIsReady": False,
    "dueAt": "2027-01-01T00:00:00Z",
    "oldKeyStaysSeconds": 172_800,
    "tokenSeconds": 300,
}


@contextmanager
def served(answers: dict[str, Any], asked: list[str]) -> Iterator[Session]:
    """A session with a server that answers these paths."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=answers[request.url.path])

    made = Session(url="https://arm.test", sleep=lambda _seconds: None)
    with Client("https://arm.test", lambda: "token", verify=True, transport=httpx.MockTransport(answer)) as client:
        vars(made)["client"] = client
        yield made


@pytest.mark.parametrize("wanted", ["", "mine"])
def test_who_may_see_no_subscription_is_told_what_to_ask_for(wanted: str) -> None:
    answers = {"/subscriptions": {"value": []}, "/providers/Isthmus.Identity/me": {"value": [{"name": "p-1"}]}}
    with served(answers, []) as session:
        session.asked_subscription = wanted
        with pytest.raises(ArmError) as caught:
            _ = session.root
    assert (caught.value.code, caught.value.status) == ("NoSubscription", 404)
    assert "You may see no subscription here" in caught.value.message
    assert "isthmus role assign --principal p-1 --role Reader" in caught.value.message


def test_a_key_that_may_not_sign_yet_is_refused_before_anybody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []
    examine = "/providers/Isthmus.Identity/issuers/aws/examine"
    with served({examine: EXAMINED}, asked) as session, pytest.raises(ArmError) as caught:
        drill(session)
    assert (caught.value.code, caught.value.status, caught.value.target) == ("NextKeyTooYoung", 409, "k-2")
    assert "2026-11-30T04:00:00Z" in caught.value.message
    assert asked == [f"POST {examine}"]
    assert "Let k-2 sign" not in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["request", "credentials"])
def test_a_role_named_without_its_account_is_suggested(verb: str) -> None:
    """For requests and for credentials alike."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.url.path.endswith(f"/roles/Reader/{verb}")
            return httpx.Response(404, json={"error": {"code": "RoleNotFound", "message": "There is no role 'Reader'."}})
        return httpx.Response(200, json={"value": [{"name": "210987654321.Reader"}, {"name": "210987654321.Operator"}]})

    session = Session()
    with Client("https://arm.test", lambda: "token", verify=True, transport=httpx.MockTransport(answer)) as client:
        vars(session)["client"] = client
        with pytest.raises(ArmError, match=r"Did you mean 210987654321\.Reader\?$") as caught:
            take(session, "Reader") if verb == "credentials" else ask_for(session, "Reader", reason="INC-7")
    assert (caught.value.code, caught.value.status) == ("RoleNotFound", 404)
