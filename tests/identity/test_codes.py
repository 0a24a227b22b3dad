"""Codes of the command line over time: what expires when, who has to wait, who has guessed too often."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.arm.errors import ArmError
from isthmus.identity import evidence, native
from isthmus.identity.codes import ALPHABET, Codes, Consent, Pending, Redeemed, Spent, shown, typed
from isthmus.identity.oauth import OAuthError
from isthmus.identity.people import Person
from isthmus.identity.sessions import Sessions, digest_of
from isthmus.identity.tokens import TokenEndpoint
from isthmus.store import Store
from isthmus.store.tables import sign_in_codes
from tests.support.clock import Clock

ANN = Person(object_id="aaaaaaaa-0000-0000-0000-000000000001", name="Ann", issuer="https://idp.test", subject="ann")
REDIRECT = "http://127.0.0.1:49152/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = native.Authorization(redirect_uri=REDIRECT, state="s" * 8, challenge=CHALLENGE)
DEVICE = {"client_id": native.CLIENT}


@pytest.fixture
def codes(clock: Clock) -> Codes:
    numbers = itertools.count(1)
    return Codes(clock, random_bytes=secrets.token_bytes, identifier=lambda: f"family {next(numbers)}")


@pytest.fixture
def consent(store: Store, clock: Clock, endpoint: TokenEndpoint) -> Consent:
    """Ann, who has signed in with a provider and has a session."""
    with store.begin() as connection:
        found = evidence.new_sign_in(connection, ANN, {}, clock=clock, identifier=lambda: "one", seconds=3600)
    secret = Sessions(store, endpoint, clock).open(ANN, provider=ANN.issuer, sign_in=found)
    return Consent(object_id=ANN.object_id, name="Ann", sign_in="one", session=digest_of(secret), ends_at=found.ends_at)


@pytest.fixture
def within(store: Store) -> Callable[..., Any]:
    """Calls a method in a transaction of its own."""

    def call(method: Callable[..., Any], *given: Any, **more: Any) -> Any:
        with store.begin() as connection:
            return method(connection, *given, **more)

    return call


def redeem(within: Callable[..., Any], codes: Codes, code: str, client_id: str = native.CLIENT) -> Redeemed | Spent:
    return within(codes.redeem, code, client_id=client_id, redirect_uri=REDIRECT, verifier=VERIFIER)


def error_of(found: Redeemed | Spent) -> str:
    assert isinstance(found, Spent), found
    return found.error.error


def test_a_code_is_good_for_a_minute(codes: Codes, consent: Consent, within: Callable[..., Any], clock: Clock) -> None:
    early, late = (within(codes.make, ASKED, consent, address="127.0.0.1") for _ in range(2))
    assert len(bytes.fromhex(early)) == 32
    clock.advance(59)
    assert redeem(within, codes, early) == Redeemed(consent=consent, family="family 1")
    clock.advance(1)
    assert error_of(redeem(within, codes, late)) == "invalid_grant"


def test_a_code_of_another_client_is_unknown_and_stays_good(codes: Codes, consent: Consent, within: Callable[..., Any]) -> None:
    code = within(codes.make, ASKED, consent, address="")
    assert error_of(redeem(within, codes, code, client_id="another")) == "invalid_grant"
    assert isinstance(redeem(within, codes, code), Redeemed)


def test_a_second_use_names_what_came_of_the_first_for_an_hour(
    codes: Codes, consent: Consent, within: Callable[..., Any], clock: Clock
) -> None:
    code = within(codes.make, ASKED, consent, address="")
    assert isinstance(redeem(within, codes, code), Redeemed)
    clock.advance(3600)
    again = redeem(within, codes, code)
    assert isinstance(again, Spent)
    assert again.family == "family 1"
    clock.advance(60)
    within(codes.make, ASKED, consent, address="")
    forgotten = redeem(within, codes, code)
    assert isinstance(forgotten, Spent)
    assert forgotten.family == ""


@pytest.mark.parametrize("ended", ["sign-in", "session", "time"])
def test_what_a_consent_stood_on_has_to_stand(
    codes: Codes, consent: Consent, within: Callable[..., Any], store: Store, clock: Clock, endpoint: TokenEndpoint, ended: str
) -> None:
    device = within(codes.begin_device, address="")
    assert within(codes.decide, device.user_code, consent, is_allowed=True)
    if ended == "time":
        clock.advance(3600 - 30)
    code = within(codes.make, ASKED, consent, address="")
    if ended == "sign-in":
        within(evidence.end_all, ANN.object_id, int(clock() * 1000))
    elif ended == "session":
        Sessions(store, endpoint, clock).end_all(ANN.object_id)
    else:
        clock.advance(30)
    assert error_of(redeem(within, codes, code)) == "invalid_grant"
    if ended != "time":
        assert error_of(within(codes.poll, device.device_code, **DEVICE)) == "invalid_grant"


def test_a_device_waits_ten_minutes(codes: Codes, consent: Consent, within: Callable[..., Any], clock: Clock) -> None:
    device = within(codes.begin_device, address="192.0.2.7")
    began = int(clock() * 1000)
    clock.advance(599)
    assert within(codes.find_device, device.user_code, ANN.object_id) == Pending(
        user_code=shown(device.user_code), address="192.0.2.7", created_at=began
    )
    assert error_of(within(codes.poll, device.device_code, **DEVICE)) == "authorization_pending"
    clock.advance(1)
    assert isinstance(within(codes.find_device, device.user_code, ANN.object_id), ArmError)
    assert not within(codes.decide, device.user_code, consent, is_allowed=True)
    assert error_of(within(codes.poll, device.device_code, **DEVICE)) == "expired_token"


def test_who_asks_too_often_waits_longer(codes: Codes, within: Callable[..., Any], clock: Clock) -> None:
    device = within(codes.begin_device, address="")

    def polled(after: float) -> str:
        clock.advance(after)
        return error_of(within(codes.poll, device.device_code, **DEVICE))

    assert [polled(0), polled(5), polled(2)] == ["authorization_pending", "authorization_pending", "slow_down"]
    assert [polled(5), polled(15)] == ["slow_down", "authorization_pending"], "ten seconds after the first, fifteen after the second"


def test_a_code_that_is_allowed_is_given_at_once_and_once(codes: Codes, consent: Consent, within: Callable[..., Any]) -> None:
    device = within(codes.begin_device, address="")
    assert error_of(within(codes.poll, device.device_code, **DEVICE)) == "authorization_pending"
    assert within(codes.decide, shown(device.user_code).lower(), consent, is_allowed=True)
    assert not within(codes.decide, device.user_code, consent, is_allowed=False)
    assert within(codes.poll, device.device_code, client_id="another").error.error == "invalid_grant"
    assert within(codes.poll, device.device_code, **DEVICE) == Redeemed(consent=consent, family="family 1")
    again = within(codes.poll, device.device_code, **DEVICE)
    assert (error_of(again), again.family) == ("invalid_grant", "family 1")


def test_five_wrong_codes_in_ten_minutes_are_enough(codes: Codes, within: Callable[..., Any], clock: Clock) -> None:
    device = within(codes.begin_device, address="")

    def find(code: str, who: str = ANN.object_id) -> str:
        found = within(codes.find_device, code, who)
        return found.code if isinstance(found, ArmError) else "found"

    assert find(device.user_code) == "found"
    assert [find("BBBB-BBBB") for _ in range(5)] == ["UnknownUserCode"] * 5
    assert (find("BBBB-BBBB"), find(device.user_code)) == ("TooManyGuesses", "TooManyGuesses")
    assert find(device.user_code, "another person") == "found"
    clock.advance(600)
    fresh = within(codes.begin_device, address="")
    assert find(fresh.user_code) == "found"


def test_strangers_cannot_fill_the_table(codes: Codes, within: Callable[..., Any], store: Store, clock: Clock) -> None:
    for _ in range(50):
        within(codes.begin_device, address="192.0.2.7")
    with pytest.raises(OAuthError) as caught:
        within(codes.begin_device, address="192.0.2.7")
    assert (caught.value.error, caught.value.status) == ("temporarily_unavailable", 429)
    assert within(codes.begin_device, address="192.0.2.8")
    clock.advance(600 + 3600)
    within(codes.begin_device, address="192.0.2.7")
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(sign_in_codes)).scalar_one() == 1, "what is long over is forgotten"


def test_user_codes_use_every_letter_alike(clock: Clock, within: Callable[..., Any]) -> None:
    """Bytes come in order; those beyond the last whole turn of the alphabet are left out."""
    given = itertools.cycle(range(256))
    ordered = Codes(clock, random_bytes=lambda count: bytes(next(given) for _ in range(count)), identifier=lambda: "f")
    seen: Counter[str] = Counter()
    for _ in range(30):
        seen.update(ordered._letters())
    assert set(seen) == set(ALPHABET)
    assert max(seen.values()) - min(seen.values()) <= 2
    assert typed(" bcdf-ghjk ") == "BCDFGHJK"
