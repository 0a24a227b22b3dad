"""Refresh tokens over time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.identity import evidence, refresh
from isthmus.identity.codes import Consent
from isthmus.identity.people import Person
from isthmus.identity.refresh import Refresh, RefreshTokens, Stale
from isthmus.store import Store
from isthmus.store.tables import refresh_tokens
from tests.support.clock import Clock

ANN = Person(object_id="aaaaaaaa-0000-0000-0000-000000000001", name="Ann", issuer="https://idp.test", subject="ann")
Call = Callable[..., Any]


@pytest.fixture
def tokens(clock: Clock) -> RefreshTokens:
    return RefreshTokens(clock, seconds=7200, random_bytes=secrets.token_bytes)


@pytest.fixture
def within(store: Store) -> Call:
    """Calls a method in a transaction of its own."""

    def call(method: Call, *given: Any, **more: Any) -> Any:
        with store.begin() as connection:
            return method(connection, *given, **more)

    return call


@pytest.fixture
def first(tokens: RefreshTokens, within: Call, clock: Clock) -> Refresh:
    """The first token of Ann, whose sign-in lasts an hour."""
    found = within(evidence.new_sign_in, ANN, {}, clock=clock, identifier=lambda: "one", seconds=3600)
    consent = Consent(object_id=ANN.object_id, name="Ann", sign_in="one", session="", ends_at=found.ends_at)
    made: Refresh = within(tokens.begin, consent, family="f", client_id="c")
    return made


def test_a_family_ends_with_the_sign_in_however_often_it_is_refreshed(
    tokens: RefreshTokens, within: Call, first: Refresh, clock: Clock
) -> None:
    assert first.expires_at == int(clock() * 1000) + 3_600_000
    clock.advance(3599)
    second = within(tokens.rotate, first.token, client_id="c")
    assert (second.expires_at, second.sign_in) == (first.expires_at, "one")
    clock.advance(1)
    assert isinstance(within(tokens.rotate, second.token, client_id="c"), Stale)


def test_a_family_of_a_link_has_its_own_end(tokens: RefreshTokens, within: Call, clock: Clock) -> None:
    now = int(clock() * 1000)
    consent = Consent(object_id=ANN.object_id, name="Ann", sign_in="", session="", ends_at=now + 86_400_000)
    made = within(tokens.begin, consent, family="f", client_id="c")
    assert made.expires_at == now + 7_200_000
    assert isinstance(within(tokens.rotate, made.token, client_id="c"), Refresh)


def test_an_ended_sign_in_ends_the_family(tokens: RefreshTokens, within: Call, first: Refresh, clock: Clock, store: Store) -> None:
    within(evidence.end_all, ANN.object_id, int(clock() * 1000))
    stale = within(tokens.rotate, first.token, client_id="c")
    assert (stale.error.error, stale.owner) == ("invalid_grant", "")
    with store.read() as connection:
        assert connection.execute(select(refresh_tokens)).all() == []


def test_a_used_token_ends_the_family_and_names_its_owner(tokens: RefreshTokens, within: Call, first: Refresh) -> None:
    second = within(tokens.rotate, first.token, client_id="c")
    assert within(tokens.rotate, second.token, client_id="another").error.error == "invalid_grant", "and it stays good"
    assert within(tokens.rotate, first.token, client_id="c").owner == ANN.object_id
    assert within(tokens.rotate, second.token, client_id="c").owner == ""


def test_only_hashes_are_kept(tokens: RefreshTokens, within: Call, first: Refresh, store: Store) -> None:
    within(tokens.rotate, first.token, client_id="c")
    with store.read() as connection:
        kept = str(connection.execute(select(refresh_tokens)).all())
    assert first.token not in kept + repr(first)
    assert len(bytes.fromhex(first.token)) == 32


def test_every_family_of_a_person_is_ended(tokens: RefreshTokens, within: Call, first: Refresh) -> None:
    assert within(refresh.end_all, ANN.object_id.upper()) == 1
    assert within(tokens.rotate, first.token, client_id="c").error.error == "invalid_grant"
