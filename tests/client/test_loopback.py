"""The page on loopback takes the one answer that was waited for."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.client.loopback import Loopback

STATE = "state-of-this-attempt"


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with Loopback(STATE) as listening:
        yield listening


def get(loopback: Loopback, query: str = "", path: str = "", **headers: str) -> httpx.Response:
    return httpx.get(f"{path or loopback.redirect_uri}{query}", headers=headers, trust_env=False)


def test_an_answer_is_taken_once(loopback: Loopback) -> None:
    taken = get(loopback, f"?code=c0de&state={STATE}&iss=https%3A%2F%2Fi")
    assert (taken.status_code, "c0de" in taken.text) == (200, False)
    assert taken.headers["content-security-policy"].startswith("default-src 'none'")
    assert taken.headers["cache-control"] == "no-store"
    assert get(loopback, f"?code=other&state={STATE}").status_code == 400
    assert loopback.wait(1) == {"code": "c0de", "state": STATE, "iss": "https://i"}


@pytest.mark.parametrize("query", ["", "?code=evil", "?code=evil&state=", "?code=evil&state=other", f"?code=evil&state=x&state={STATE}"])
def test_other_answers_are_waited_past(loopback: Loopback, query: str) -> None:
    assert get(loopback, query).status_code == 400
    assert get(loopback, f"?code=good&state={STATE}").status_code == 200
    assert loopback.wait(1)["code"] == "good"


def test_other_names_and_pages_are_nothing(loopback: Loopback) -> None:
    """A page elsewhere whose name leads to this computer (DNS rebinding) learns nothing and brings nothing."""
    good = f"?code=evil&state={STATE}"
    assert get(loopback, good, Host="evil.example").status_code == 404
    assert get(loopback, good, path=loopback.redirect_uri.replace("/callback", "/")).status_code == 404
    assert httpx.post(f"{loopback.redirect_uri}{good}", trust_env=False).status_code == 501
    with pytest.raises(ArmError) as caught:
        loopback.wait(0)
    assert caught.value.code == "SignInExpired"


def test_it_listens_on_loopback_alone(loopback: Loopback) -> None:
    assert loopback.redirect_uri.startswith("http://127.0.0.1:")
    assert loopback._server.server_address[0] == "127.0.0.1"
