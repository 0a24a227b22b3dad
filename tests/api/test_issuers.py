"""The issuer that AWS trusts, over the API: who may look at its keys, try them and rotate them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from isthmus.store.tables import audit_records
from tests.api.conftest import Api

VERSION = "2026-11-01"
ISSUERS = "/providers/Isthmus.Identity/issuers"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["error"]["code"])


def kids(api: Api) -> dict[str, str]:
    found = api.call("GET", f"{ISSUERS}/aws", version=VERSION).json()["properties"]["keys"]
    return {one["state"]: one["kid"] for one in found}


def test_readers_see_the_public_halves_and_when(api: Api) -> None:
    shown = api.call("GET", f"{ISSUERS}/aws", version=VERSION, token=api.client("Reader"))
    assert shown.status_code == 200
    properties = shown.json()["properties"]
    assert [one["state"] for one in properties["keys"]] == ["current", "next"]
    assert (properties["nextIsReady"], properties["oldKeyStaysSeconds"]) == (False, 90_000)
    assert "PRIVATE" not in shown.text
    listed = api.call("GET", ISSUERS, version=VERSION).json()["value"]
    assert [one["name"] for one in listed] == ["aws"]
    assert api.call("GET", f"{ISSUERS}/api", version=VERSION).status_code == 404
    assert api.call("GET", ISSUERS, version=VERSION, token=api.client(None)).status_code == 403


@pytest.mark.parametrize("role", ["Reader", "Contributor", None])
@pytest.mark.parametrize("action", ["examine", "rotate"])
def test_only_owners_try_and_rotate(api: Api, role: str | None, action: str) -> None:
    before = kids(api)
    answer = api.call(
        "POST", f"{ISSUERS}/aws/{action}", {"expected": before["next"], "shorten": True}, version=VERSION, token=api.client(role)
    )
    assert code(answer) == (403, "AuthorizationFailed")
    assert kids(api) == before


def test_a_key_that_nobody_can_see_does_not_sign_and_the_refusal_is_kept(api: Api) -> None:
    """The issuer's name leads nowhere here."""
    before = kids(api)
    rows = [
        ({"expected": before["next"]}, (409, "NextKeyTooYoung")),
        ({"expected": before["current"], "shorten": True}, (409, "KeysChanged")),
        ({"expected": before["next"], "shorten": True}, (409, "NextKeyNotPublished")),
        ({}, (400, "InvalidRequestContent")),
        ({"expected": "x" * 101, "shorten": True}, (400, "InvalidRequestContent")),
    ]
    for body, expected in rows:
        assert code(api.call("POST", f"{ISSUERS}/aws/rotate", body, version=VERSION)) == expected
    assert code(api.call("POST", f"{ISSUERS}/api/rotate", {"expected": "x"}, version=VERSION)) == (404, "IssuerNotFound")
    assert kids(api) == before
    looked = api.call("POST", f"{ISSUERS}/aws/examine", version=VERSION).json()
    assert (looked["published"]["showsNext"], looked["accounts"]) == (False, [])
    assert "does not answer" in looked["published"]["problem"]
    with api.app.engine.store.read() as connection:
        kept = connection.execute(select(audit_records).where(audit_records.c.target.like(f"{ISSUERS}/%"))).all()
    assert [one.outcome for one in kept] == ["refused"] * 6
