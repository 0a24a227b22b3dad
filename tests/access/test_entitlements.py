"""Who may take what: the same decision as minting, for everybody whose sign-in stands, in pages of people."""

from __future__ import annotations

import pytest

from isthmus.access import entitlements
from isthmus.access.entitlements import Entitlement, of_account, of_person
from isthmus.access.mappings import RoleMapping
from isthmus.store import Store
from tests.access.desk import Desk, desk
from tests.access.estate import mapping_id
from tests.support.clock import Clock


@pytest.fixture
def here(store: Store) -> Desk:
    return desk(store, Clock())


def roles(here: Desk) -> list[RoleMapping]:
    return [here.requests.broker.mapping(str(mapping_id(name))) for name in ("Reader", "Operator", "Root")]


def told(found: tuple[Entitlement, ...]) -> dict[str, tuple[str, str]]:
    return {one.mapping.name: (one.decision.because, one.decision.refusal.code if one.decision.refusal else "") for one in found}


def test_a_person_is_told_every_role_that_is_meant_for_them(here: Desk) -> None:
    alice, nobody = here.sign_in("alice", "g-ops"), here.sign_in("nobody", "g-other")
    broker = here.requests.broker
    waits = ("", "RequestNeeded")
    assert told(of_person(broker, roles(here), alice.id)) == {"Operator": waits, "Reader": ("group:g-ops", ""), "Root": waits}
    assert of_person(broker, roles(here), nobody.id) == ()
    here.approve(here.ask(alice), here.sign_in("lead", "g-lead"))
    held = next(one for one in of_person(broker, roles(here), alice.id.upper()) if one.mapping.name == "Operator")
    assert (held.decision.because.partition(":")[0], held.decision.grant) == ("request", "G-1")
    assert held.decision.until == here.engine.now() + 300_000


def test_who_signed_in_without_a_second_factor_sees_what_is_in_the_way(here: Desk) -> None:
    bob = here.sign_in("bob", "g-ops", methods=("pwd",))
    found = told(of_person(here.requests.broker, roles(here), bob.id))
    assert found["Reader"] == ("", "SecondFactorNeeded")


@pytest.mark.parametrize("size", [1, 2, 100])
def test_an_account_names_everybody_once_whatever_the_page(here: Desk, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(entitlements, "LOOKED_AT", size)
    members = {here.sign_in(f"m{number}", "g-ops").id for number in range(3)}
    here.sign_in("m0", "g-ops")
    for number in range(3):
        here.sign_in(f"other{number}", "g-other")
    found, after, pages = list[Entitlement](), "", 0
    while True:
        page, after = of_account(here.requests.broker, roles(here)[:1], after)
        found, pages = [*found, *page], pages + 1
        if not after:
            break
    assert sorted(one.person for one in found) == sorted(members)
    assert {one.decision.because for one in found} == {"group:g-ops"}
    assert pages == -(-6 // size)


def test_who_has_no_sign_in_that_stands_is_not_named(here: Desk) -> None:
    alice = here.sign_in("alice", "g-ops")
    here.clock.advance(11 * 86_400)
    found = of_person(here.requests.broker, roles(here), alice.id)
    assert {one.decision.refusal.code for one in found if one.decision.refusal} == {"SignInNeeded"}
    assert of_account(here.requests.broker, roles(here), "") == ((), "")
