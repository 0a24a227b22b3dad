"""What a pushed token does here, once, and which ones are refused with which code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access import revocations
from isthmus.access.federation import ACCESS, CONFIGURATIONS
from isthmus.access.leaving import offboard
from isthmus.access.security_events.receiving import ACTION, NotAccepted
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.store.tables import access_denials, audit_records
from tests.access.security_events.conftest import ALICE, CAEP, EVIL, JWKS, Signals

RISC = "https://schemas.openid.net/secevent/risc/event-type"
SIGNED_IN, ENDED, BARRED = (True, 1, False), (False, 0, False), (False, 0, True)


def outcomes(signals: Signals) -> list[str]:
    asked = select(audit_records.c.detail).where(audit_records.c.action == ACTION).order_by(audit_records.c.seq)
    with signals.engine.store.read() as connection:
        return [json.loads(one)["outcome"] for one in connection.execute(asked).scalars()]


@pytest.mark.parametrize("kind", ["session-revoked", "credential-change", "assurance-level-change"])
def test_sessions_end_and_whoever_signs_in_again_begins_anew(signals: Signals, kind: str) -> None:
    assert signals.state() == SIGNED_IN
    assert signals.receiver.receive(signals.token(f"{CAEP}/{kind}")) == "SessionsEnded"
    assert signals.state() == ENDED
    signals.sign_in()
    assert signals.state() == SIGNED_IN
    assert outcomes(signals) == ["SessionsEnded"]
    assert signals.fetched == [JWKS]


def test_who_is_disabled_there_is_out_here(signals: Signals) -> None:
    assert signals.receiver.receive(signals.token(f"{RISC}/account-disabled")) == "Departed"
    assert signals.state() == BARRED


def test_the_end_of_a_session_does_not_let_in_who_was_offboarded(signals: Signals) -> None:
    with signals.engine.store.begin() as connection:
        offboard(connection, signals.engine, ALICE, Actor(id="admin", kind="User"), "left")
    signals.receiver.receive(signals.token())
    assert signals.state() == BARRED


def test_a_token_is_taken_in_once_and_accepted_again(signals: Signals) -> None:
    token = signals.token()
    signals.receiver.receive(token)
    signals.sign_in()
    assert signals.receiver.receive(token) == "Repeated"
    assert signals.state() == SIGNED_IN, "a replay ends nothing"
    assert signals.receiver.receive(signals.token(jti="another")) == "SessionsEnded"


def test_replays_are_known_as_long_as_a_token_is_good(signals: Signals) -> None:
    token = signals.token()
    signals.receiver.receive(token)
    signals.clock.advance(86_300)
    assert signals.receiver.receive(token) == "Repeated"
    signals.clock.advance(200)
    with pytest.raises(NotAccepted, match="older") as caught:
        signals.receiver.receive(token)
    assert caught.value.err == "invalid_request"


@pytest.mark.parametrize(
    ("sub_id", "outcome"),
    [
        ({"format": "opaque", "id": ALICE.upper()}, "SessionsEnded"),
        ({"format": "iss_sub", "iss": "https://idp.test", "sub": ALICE}, "SessionsEnded"),
        ({"format": "iss_sub", "iss": "https://other.test", "sub": "alice"}, "Unknown"),
        ({"format": "opaque", "id": "alice@example.test"}, "Unknown"),
        ({"format": "opaque", "id": "alice"}, "Unknown"),
    ],
)
def test_people_are_found_by_object_id_or_by_their_issuers_subject(signals: Signals, sub_id: dict[str, str], outcome: str) -> None:
    assert signals.receiver.receive(signals.token(sub_id=sub_id)) == outcome
    assert signals.state() == (SIGNED_IN if outcome == "Unknown" else ENDED)


STRANGER = "9b0a7c52-33d0-4f0e-9c53-0f3f6a9e4e11"


@pytest.mark.parametrize(
    ("kind", "sub_id", "is_direct", "outcome"),
    [
        ("account-disabled", {"format": "opaque", "id": STRANGER.upper()}, True, "Departed"),
        ("account-purged", {"format": "iss_sub", "iss": "https://idp.test", "sub": STRANGER}, True, "Departed"),
        ("account-disabled", {"format": "opaque", "id": STRANGER}, False, "Unknown"),
        ("account-disabled", {"format": "opaque", "id": "carol"}, True, "Unknown"),
        ("sessions-revoked", {"format": "opaque", "id": STRANGER}, True, "Unknown"),
    ],
)
def test_who_never_was_here_is_denied_where_accounts_trust_a_directory(
    signals: Signals, kind: str, sub_id: dict[str, str], is_direct: bool, outcome: str
) -> None:
    if is_direct:
        group = group_id("00000000-0000-4000-8000-000000000000", "rg")
        connector = group.extension("Microsoft.HybridConnectivity/publicCloudConnectors", "c")
        settings = {"federation": "oidc", "federationIssuer": "https://sts.windows.net/11111111-2222-4333-8444-555555555555/"}
        puts = (
            Resource(id=subscription_id(group.subscription)),
            Resource(id=group, location="eastus"),
            Resource(id=connector, location="eastus"),
            Resource(id=connector.extension(CONFIGURATIONS, "a"), properties={"solutionType": ACCESS, "solutionSettings": settings}),
        )
        signals.engine.apply(Change(puts=puts), Actor(id="admin", kind="User"), "setup", "/")
    assert signals.receiver.receive(signals.token(f"{RISC}/{kind}", sub_id=sub_id)) == outcome
    with signals.engine.store.read() as connection:
        assert revocations.is_revoked(connection, STRANGER) == (outcome == "Departed")
        told = list(connection.execute(select(access_denials.c.connector)).scalars())
    assert len(told) == (outcome == "Departed")


def test_verification_and_unknown_events_are_taken_note_of(signals: Signals) -> None:
    stream = {"format": "opaque", "id": "stream"}
    told = {"https://schemas.openid.net/secevent/ssf/event-type/verification": {"state": "abc"}}
    assert signals.receiver.receive(signals.token(events=told, sub_id=stream)) == "Verified"
    assert signals.receiver.receive(signals.token("https://example.test/something-new")) == "Ignored"
    assert signals.state() == SIGNED_IN
    assert outcomes(signals) == ["Verified", "Ignored"]


@pytest.mark.parametrize(
    ("make", "err"),
    [
        (lambda signals: "nonsense", "invalid_request"),
        (lambda signals: signals.token(iss="https://evil.test"), "invalid_issuer"),
        (lambda signals: signals.token(iss=None), "invalid_issuer"),
        (lambda signals: signals.token(key=EVIL), "invalid_key"),
        (lambda signals: signals.token(header={"kid": "other"}), "invalid_key"),
        (lambda signals: signals.token(aud="https://else.test"), "invalid_audience"),
        (lambda signals: signals.token(aud=["https://here.test", "https://else.test"]), "invalid_audience"),
        (lambda signals: signals.token(header={"typ": "JWT"}), "invalid_request"),
        (lambda signals: signals.token(jti=None), "invalid_request"),
        (lambda signals: signals.token(iat=int(signals.clock()) + 3600), "invalid_request"),
        (lambda signals: signals.token(events={}), "invalid_request"),
        (lambda signals: signals.token(sub_id={"format": "email", "email": "alice@example.test"}), "invalid_request"),
        (lambda signals: signals.token()[:-4] + "AAAA", "invalid_key"),
    ],
)
def test_refusals_change_nothing_and_say_why(signals: Signals, make: Callable[[Signals], str], err: str) -> None:
    with pytest.raises(NotAccepted) as caught:
        signals.receiver.receive(make(signals))
    assert caught.value.err == err
    assert signals.state() == SIGNED_IN
    assert outcomes(signals) == []


def test_a_transmitter_whose_keys_cannot_be_had_sends_again(signals: Signals) -> None:
    signals.is_down = True
    with pytest.raises(ArmError) as caught:
        signals.receiver.receive(signals.token())
    assert (caught.value.status, caught.value.retry_after) == (503, 30)
    assert signals.state() == SIGNED_IN


def test_what_breaks_half_way_may_be_sent_again(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    token = signals.token()
    broken: Any = lambda *_arguments: (_ for _ in ()).throw(RuntimeError("broke"))  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("isthmus.access.security_events.receiving.begin_anew", broken)
        with pytest.raises(RuntimeError):
            signals.receiver.receive(token)
    assert signals.receiver.receive(token) == "SessionsEnded", "its id was not spent"
