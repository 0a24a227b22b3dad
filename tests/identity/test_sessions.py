"""Sessions of browsers: what opens one, what ends it, what is kept of it."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from sqlalchemy import event, select

from isthmus.arm.errors import ArmError
from isthmus.identity import evidence
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import parse
from isthmus.identity.people import Person
from isthmus.identity.sessions import Session, Sessions
from isthmus.identity.tokens import TokenEndpoint
from isthmus.store import Store
from isthmus.store.tables import sessions as rows
from tests.identity.parties import BASE, TENANT
from tests.support.clock import Clock

ANN = Person(object_id="aaaaaaaa-0000-0000-0000-000000000001", name="Ann")
BOB = Person(object_id="bbbbbbbb-0000-0000-0000-000000000002", name="Bob")
PROVIDER = "https://login.provider.test"


class Mint:
    """Tokens that say whose they are and the how many-th."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def for_person(self, object_id: str, name: str, *, client_id: str, sign_in: str = "", until: int | None = None) -> dict[str, Any]:
        self.made.append(f"{name} {len(self.made) + 1}")
        return {"access_token": self.made[-1], "expires_in": 3600}


@pytest.fixture
def mint() -> Mint:
    return Mint()


@pytest.fixture
def sessions(store: Store, mint: Mint, clock: Clock) -> Sessions:
    return Sessions(store, mint, clock)


def kept(store: Store) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(select(rows).order_by(rows.c.created_at, rows.c.hash)))


def writes(store: Store, act: Any) -> int:
    """How many statements that write an action sends."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
    return sum(statement.split()[0] in ("INSERT", "UPDATE", "DELETE") for statement in seen)


def test_a_session_is_found_by_its_secret_and_stored_as_a_hash(sessions: Sessions, store: Store, clock: Clock) -> None:
    secret = sessions.open(ANN, provider=PROVIDER)
    now = int(clock() * 1000)
    expected = Session(object_id=ANN.object_id, name="Ann", provider=PROVIDER, created_at=now, expires_at=now + 12 * 3_600_000)
    assert sessions.find(secret) == expected
    [row] = kept(store)
    assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(row)
    assert len(bytes.fromhex(secret)) == 32


def test_every_sign_in_has_a_secret_of_its_own(sessions: Sessions) -> None:
    secrets = {sessions.open(ANN, provider="") for _ in range(5)}
    assert len(secrets) == 5
    assert all(sessions.find(secret) for secret in secrets)


@pytest.mark.parametrize("secret", ["", "0" * 64, "0" * 63, "A" * 64, "0" * 100_000, "\ud800", "é" * 64, "0" * 64 + "\n", "' or 1=1"])
def test_other_texts_are_no_sessions_and_write_nothing(sessions: Sessions, store: Store, secret: str) -> None:
    sessions.open(ANN, provider="")

    def strange() -> None:
        assert sessions.find(secret) is None
        sessions.close(secret)

    assert writes(store, strange) == 0
    assert len(kept(store)) == 1


def test_a_session_that_nobody_uses_ends_after_an_hour(sessions: Sessions, store: Store, clock: Clock) -> None:
    used, idle = sessions.open(ANN, provider=""), sessions.open(BOB, provider="")
    for _ in range(2):
        clock.advance(1799)
        assert sessions.find(used)
    clock.advance(2)
    assert sessions.find(idle) is None
    assert sessions.find(used)
    assert [row.name for row in kept(store)] == ["Ann"], "found to be over, it is gone"


def test_a_session_ends_after_twelve_hours_whatever_happens(sessions: Sessions, clock: Clock) -> None:
    secret = sessions.open(ANN, provider="")
    for _ in range(12 * 60 - 1):
        clock.advance(60)
        assert sessions.find(secret)
    clock.advance(60)
    assert sessions.find(secret) is None


def test_the_limits_are_settings(store: Store, mint: Mint, clock: Clock) -> None:
    short = Sessions(store, mint, clock, idle_minutes=5, hours=0.5)
    secret = short.open(ANN, provider="")
    clock.advance(299)
    assert short.find(secret)
    clock.advance(300)
    assert short.find(secret) is None


def test_use_is_noted_once_a_minute(sessions: Sessions, store: Store, clock: Clock) -> None:
    secret = sessions.open(ANN, provider="")
    assert writes(store, lambda: [sessions.find(secret) for _ in range(5)]) == 0
    clock.advance(60)
    assert writes(store, lambda: [sessions.find(secret) for _ in range(5)]) == 1
    assert kept(store)[0].seen_at == int(clock() * 1000)


def test_a_busy_database_turns_nobody_away(store: Store, sessions: Sessions, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = sessions.open(ANN, provider="")
    clock.advance(60)

    def failing(status: int) -> Any:
        def begin() -> Any:
            raise ArmError("ServiceUnavailable", "locked", status=status)

        return begin

    monkeypatch.setattr(store, "begin", failing(503))
    assert sessions.find(secret)
    monkeypatch.setattr(store, "begin", failing(500))
    with pytest.raises(ArmError):
        sessions.find(secret)


def test_what_is_over_is_forgotten_when_others_sign_in(sessions: Sessions, store: Store, clock: Clock) -> None:
    for _ in range(3):
        sessions.open(ANN, provider="")
    clock.advance(3600)
    sessions.open(BOB, provider="")
    assert [row.name for row in kept(store)] == ["Bob"]


def test_signing_out_ends_one_session(sessions: Sessions, store: Store) -> None:
    first, second = sessions.open(ANN, provider=""), sessions.open(ANN, provider="")
    sessions.close(first)
    sessions.close(first)
    assert sessions.find(first) is None
    assert sessions.find(second)
    assert len(kept(store)) == 1


def test_a_person_is_signed_out_everywhere(sessions: Sessions) -> None:
    anns, bobs = [sessions.open(ANN, provider="") for _ in range(3)], sessions.open(BOB, provider="")
    assert sessions.end_all(ANN.object_id.upper()) == 3
    assert [sessions.find(secret) for secret in anns] == [None] * 3
    assert sessions.find(bobs)


def test_a_session_that_ends_while_it_is_looked_at_is_none(sessions: Sessions, store: Store, clock: Clock) -> None:
    secret = sessions.open(ANN, provider="")
    clock.advance(60)
    ended: list[str] = []

    def end(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and not ended:
            ended.append(statement)
            sessions.end_all(ANN.object_id)

    event.listen(store.engine, "after_cursor_execute", end)
    assert sessions.find(secret) is None
    assert ended


def test_a_token_serves_a_session_until_five_minutes_before_its_end(sessions: Sessions, mint: Mint, clock: Clock) -> None:
    anns, bobs = (sessions.find(sessions.open(person, provider="")) for person in (ANN, BOB))
    assert anns
    assert bobs
    assert [sessions.token(one) for one in (anns, bobs, anns, bobs)] == ["Ann 1", "Bob 2", "Ann 1", "Bob 2"]
    clock.advance(3299)
    assert sessions.token(anns) == "Ann 1"
    clock.advance(1)
    assert sessions.token(anns) == "Ann 3"


def test_a_token_is_forgotten_with_its_session(sessions: Sessions, mint: Mint) -> None:
    secret = sessions.open(ANN, provider="")
    session = sessions.find(secret)
    assert session
    sessions.token(session)
    sessions.close(secret)
    assert sessions.token(session) == "Ann 2"


def test_the_token_is_one_of_the_api_for_that_person(store: Store, endpoint: TokenEndpoint, issuer: Issuer, clock: Clock) -> None:
    sessions = Sessions(store, endpoint, clock)
    session = sessions.find(sessions.open(ANN, provider=PROVIDER))
    assert session
    caller = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock).caller(sessions.token(session))
    assert (caller.object_id, caller.kind, caller.name, caller.client_id) == (ANN.object_id, "user", "Ann", "isthmus-portal")
    assert caller.sign_in == ""


def test_a_session_of_a_sign_in_names_it_and_outlives_it_nowhere(
    store: Store, endpoint: TokenEndpoint, issuer: Issuer, clock: Clock
) -> None:
    sessions = Sessions(store, endpoint, clock)
    with store.begin() as connection:
        found = evidence.new_sign_in(connection, ANN, {}, clock=clock, identifier=lambda: "one", seconds=1800)
    secret = sessions.open(ANN, provider=PROVIDER, sign_in=found)
    session = sessions.find(secret)
    assert session
    assert (session.sign_in, session.expires_at) == ("one", found.ends_at)
    token = sessions.token(session)
    assert BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock).caller(token).sign_in == "one"
    assert parse(token).claims["exp"] == found.ends_at // 1000, "the token ends with the sign-in"
    clock.advance(1800)
    assert sessions.find(secret) is None


def test_forms_are_bound_to_their_session(sessions: Sessions, store: Store) -> None:
    first, second = sessions.open(ANN, provider=""), sessions.open(ANN, provider="")
    assert sessions.csrf(first) == sessions.csrf(first)
    assert sessions.csrf(first) != sessions.csrf(second)
    assert sessions.csrf(first) not in (first, hashlib.sha256(first.encode()).hexdigest()), "it tells neither the secret nor what is stored"
    assert sessions.csrf(first) not in str(kept(store))


def test_secrets_are_in_no_representation(sessions: Sessions) -> None:
    secret = sessions.open(ANN, provider="")
    session = sessions.find(secret)
    assert session
    token = sessions.token(session)
    for text in (repr(sessions), repr(session), str(vars(sessions).get("_tokens")).replace(token, "")):
        assert secret not in text


def test_many_requests_of_one_browser_at_once(sessions: Sessions, clock: Clock) -> None:
    secret = sessions.open(ANN, provider="")
    clock.advance(60)
    found: list[Session | None] = []
    together = threading.Barrier(8)

    def use() -> None:
        together.wait()
        found.append(sessions.find(secret))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(found)
