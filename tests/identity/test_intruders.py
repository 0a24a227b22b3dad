"""What intruders and broken providers try at the sign-in: a typed refusal, a record of it, and nobody is in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.api.entries import ProviderEntry
from isthmus.arm.errors import ArmError
from isthmus.audit import Refusals
from isthmus.engine import Engine
from isthmus.identity import people
from isthmus.identity.foreign import Said
from isthmus.identity.issuer import Issuer
from isthmus.identity.trust import SKEW
from isthmus.store import Store
from isthmus.store.tables import audit_records, sign_ins
from isthmus.store.tables import people as people_table
from tests.fakes.jobs import RecordedJobs
from tests.identity.parties import TestKey
from tests.identity.vouching import ENTRA, ENTRA_TENANT, Vouching
from tests.identity.web import Web
from tests.support.clock import Clock

NOW = int(Clock()())
OBJECT = "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"


@dataclass
class Door:
    """Our side of a provider that does what a test says."""

    vouching: Vouching
    entry: ProviderEntry
    store: Store
    evil: TestKey

    def whole(self, **changes: str | None) -> Any:
        begun = self.entry.begin("/")
        return self.entry.finish(begun.cookie, self.vouching.visit(begun, **changes))

    def count(self, table: Any, *where: Any) -> int:
        with self.store.read() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


@pytest.fixture
def door_of(store: Store, issuer: Issuer, web: Web, clock: Clock, key_of: Callable[[str], TestKey]) -> Callable[..., Door]:
    def make(provider: str = "https://login.provider.test/realm") -> Door:
        vouching = Vouching(web, clock, key_of("provider"), provider)
        engine = Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))
        entry = ProviderEntry(engine=engine, refusals=Refusals(store, clock), openid=vouching.openid(issuer), seconds=3600)
        return Door(vouching=vouching, entry=entry, store=store, evil=key_of("evil"))

    return make


def tells(**claims: Any) -> Callable[[Door], Any]:
    def act(door: Door) -> Any:
        door.vouching.claims |= claims
        return door.whole()

    return act


def by_another_key(door: Door) -> Any:
    door.vouching.token = lambda claims: door.evil.sign(claims, kid="provider")
    return door.whole()


def by_an_unknown_key(door: Door) -> Any:
    door.vouching.token = door.evil.sign
    return door.whole()


def of_another_browser(door: Door) -> Any:
    return door.entry.finish(door.entry.begin("/").cookie, door.vouching.visit(door.entry.begin("/")))


def replayed_code(door: Door) -> Any:
    """The provider knows that it was redeemed."""
    door.vouching.answer = Said(status=400, body=json.dumps({"error": "invalid_grant"}).encode())
    return door.whole()


def of_somebody_known(door: Door) -> Any:
    """The subject of this issuer belongs to another object id."""
    person = people.Person(object_id=OBJECT, name="Ann", issuer=door.vouching.issuer, subject="ann")
    with door.store.begin() as connection:
        people.remember(connection, person, lambda: float(NOW))
    return door.whole()


ATTEMPTS: dict[str, tuple[Callable[[Door], Any], str]] = {
    "the answer of another browser": (of_another_browser, "SignInMismatch"),
    "the answer of another provider": (lambda door: door.whole(iss="https://evil.test"), "SignInRefused"),
    "an answer that names no provider": (lambda door: door.whole(iss=None), "SignInRefused"),
    "no code": (lambda door: door.whole(code=""), "SignInRefused"),
    "a code that was redeemed": (replayed_code, "SignInRefused"),
    "a token for another client": (tells(aud="another client"), "SignInRefused"),
    "a token for us and another": (tells(aud=["isthmus at home", "another client"]), "SignInRefused"),
    "a token of another issuer": (tells(iss="https://login.provider.test/other"), "SignInRefused"),
    "the token of another sign-in": (tells(nonce="n"), "SignInRefused"),
    "a token of another key": (by_another_key, "SignInRefused"),
    "an unknown key": (by_an_unknown_key, "SignInRefused"),
    "a clock that is behind": (tells(iat=NOW - 400, exp=NOW - SKEW), "SignInRefused"),
    "a clock that is ahead": (tells(iat=NOW + SKEW + 1, exp=NOW + 300), "SignInRefused"),
    "not yet valid": (tells(nbf=NOW + SKEW + 1), "SignInRefused"),
    "an identifier of somebody else": (of_somebody_known, "SignInRefused"),
    "a person who may not": (lambda door: door.whole(error="access_denied", code=None), "SignInDenied"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nobody_comes_in_and_the_refusal_is_kept(door_of: Callable[..., Door], attempt: str) -> None:
    door = door_of()
    act, code = ATTEMPTS[attempt]
    known = 1 if act is of_somebody_known else 0
    with pytest.raises(ArmError) as caught:
        act(door)
    assert (caught.value.code, caught.value.status) == (code, 403 if code == "SignInDenied" else 401)
    assert (door.count(sign_ins), door.count(people_table)) == (0, known)
    assert door.count(audit_records, audit_records.c.outcome == "accepted") == 0
    with door.store.read() as connection:
        kept = connection.execute(select(audit_records)).one()
    assert (kept.action, kept.outcome, json.loads(kept.detail)["code"]) == ("sign-in", "refused", code)


@pytest.mark.parametrize(
    "claims",
    [{"iat": NOW - 400, "exp": NOW - SKEW + 1}, {"iat": NOW + SKEW, "exp": NOW + 300}, {"nbf": NOW + SKEW}],
    ids=["behind", "ahead", "not before"],
)
def test_clocks_may_differ_by_a_minute(door_of: Callable[..., Door], claims: dict[str, int]) -> None:
    door = door_of()
    assert tells(**claims)(door).person.subject == "ann"
    assert door.count(sign_ins) == 1


def test_the_same_answer_twice_is_one_sign_in(door_of: Callable[..., Door]) -> None:
    door = door_of()
    begun = door.entry.begin("/")
    query = door.vouching.visit(begun)
    assert door.entry.finish(begun.cookie, query)
    with pytest.raises(ArmError) as caught:
        door.entry.finish(begun.cookie, query)
    assert (caught.value.code, door.count(sign_ins)) == ("SignInMismatch", 1)
    assert door.count(audit_records, audit_records.c.outcome == "refused") == 1


@pytest.mark.parametrize("claims", [{"tid": "ffffffff-1111-2222-3333-444444444444", "oid": OBJECT}, {"tid": ENTRA_TENANT}, {"oid": OBJECT}])
def test_a_guest_of_another_tenant_is_nobody_here(door_of: Callable[..., Door], claims: dict[str, str]) -> None:
    door = door_of(ENTRA)
    with pytest.raises(ArmError, match="SignInRefused"):
        tells(**claims)(door)
    assert (door.count(sign_ins), door.count(audit_records, audit_records.c.outcome == "refused")) == (0, 1)


def test_two_people_with_one_mail_address_are_two(door_of: Callable[..., Door]) -> None:
    door = door_of()
    made = [tells(sub=name, email="team@example.test", name="Team")(door).person for name in ("ann", "bob")]
    assert made[0].mail == made[1].mail
    assert made[0].object_id != made[1].object_id
    assert door.count(people_table) == 2


def test_a_provider_whose_keys_are_away_refuses_nobody_and_lets_nobody_in(door_of: Callable[..., Door], web: Web, clock: Clock) -> None:
    """It is no refusal of a person: nothing is counted, and the same person comes in when it is back."""
    door = door_of()
    keys = f"{door.vouching.issuer}/keys"
    begun = door.entry.begin("/")
    clock.advance(4_000)
    del web.pages[keys]
    with pytest.raises(ArmError) as caught:
        door.entry.begin("/")
    assert (caught.value.code, caught.value.status) == ("SignInUnavailable", 503)
    assert (door.count(sign_ins), door.count(audit_records)) == (0, 0)
    assert begun.cookie
    door.vouching.publish()
    clock.advance(60)
    assert door.whole().person.subject == "ann"
