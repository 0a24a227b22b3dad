"""What an event says: of what kind, about whom, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.access.security_events.reading import Effect, Subject, Unusable, read_event

CAEP = "https://schemas.openid.net/secevent/caep/event-type"
RISC = "https://schemas.openid.net/secevent/risc/event-type"
SSF = "https://schemas.openid.net/secevent/ssf/event-type"
ALICE = {"format": "iss_sub", "iss": "https://idp.test", "sub": "alice"}


def told(type: str, payload: dict[str, Any] | None = None, sub_id: Any = ALICE) -> dict[str, Any]:
    return {"events": {type: payload or {}}, **({} if sub_id is None else {"sub_id": sub_id})}


@pytest.mark.parametrize(
    ("claims", "effect"),
    [
        (told(f"{CAEP}/session-revoked"), Effect.END),
        (told(f"{CAEP}/credential-change", {"change_type": "revoke"}), Effect.END),
        (told(f"{CAEP}/assurance-level-change", {"change_direction": "decrease"}), Effect.END),
        (told(f"{CAEP}/assurance-level-change"), Effect.END),
        (told(f"{CAEP}/assurance-level-change", {"change_direction": "increase"}), Effect.NONE),
        (told(f"{RISC}/account-disabled"), Effect.DEPART),
        (told(f"{RISC}/account-purged"), Effect.DEPART),
        (told(f"{RISC}/account-enabled"), Effect.NONE),
        (told(f"{SSF}/verification", {"state": "x"}, {"format": "opaque", "id": "stream"}), Effect.VERIFY),
        (told("https://evil.test/session-revoked", sub_id=None), Effect.NONE),
    ],
)
def test_effects(claims: dict[str, Any], effect: Effect) -> None:
    assert read_event(claims).effect is effect


@pytest.mark.parametrize(
    ("sub_id", "subject"),
    [
        (ALICE, Subject(issuer="https://idp.test", id="alice")),
        ({"format": "opaque", "id": "0-0"}, Subject(id="0-0")),
        ({"format": "complex", "user": ALICE, "tenant": {"format": "opaque", "id": "t"}}, Subject(issuer="https://idp.test", id="alice")),
        ({"user": ALICE, "session": {"format": "opaque", "id": "s"}}, Subject(issuer="https://idp.test", id="alice")),
    ],
)
def test_subjects(sub_id: dict[str, Any], subject: Subject) -> None:
    assert read_event(told(f"{CAEP}/session-revoked", sub_id=sub_id)).subject == subject


def test_drafts_name_the_subject_in_the_event() -> None:
    payload = {"subject": {"subject_type": "iss_sub", "iss": "https://idp.test", "sub": "alice"}}
    assert read_event(told(f"{CAEP}/session-revoked", payload, None)).subject == Subject(issuer="https://idp.test", id="alice")


@pytest.mark.parametrize(
    "claims",
    [
        {"events": {}},
        {"events": []},
        {"events": {f"{CAEP}/session-revoked": {}, f"{RISC}/account-disabled": {}}, "sub_id": ALICE},
        {"events": {f"{CAEP}/session-revoked": "x"}, "sub_id": ALICE},
        told(f"{CAEP}/session-revoked", sub_id=None),
        told(f"{CAEP}/session-revoked", sub_id={"format": "email", "email": "alice@example.test"}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "aliases", "identifiers": [ALICE]}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "complex", "user": {"format": "email", "email": "a@b"}}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "complex", "session": ALICE}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "iss_sub", "iss": "https://idp.test"}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "opaque", "id": ""}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "opaque", "id": 7}),
        told(f"{CAEP}/session-revoked", sub_id={"format": "opaque", "id": "x" * 513}),
        told(f"{CAEP}/session-revoked", sub_id="alice"),
    ],
)
def test_what_names_nobody_for_certain_is_not_acted_upon(claims: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        read_event(claims)
