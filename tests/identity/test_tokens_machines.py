"""Machines at the token endpoint: their registered key, and the change to the next one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from isthmus.arm.errors import ArmError
from isthmus.identity import oauth
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.issuer import Issuer
from isthmus.identity.tokens import TokenEndpoint
from isthmus.store import Store
from isthmus.store.tables import registrations, used_assertions
from tests.identity.asking import Keys, assertion_form, race, refused, statement
from tests.identity.parties import BASE, TENANT
from tests.support.clock import Clock


def test_a_machine_signs_in_with_its_registered_key(
    endpoint: TokenEndpoint, enrol: Callable[..., str], issuer: Issuer, clock: Clock, key_of: Keys
) -> None:
    vm_id = enrol(key_of("machine"))
    token = endpoint.answer(assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))))["access_token"]
    bearer = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock)
    machine = bearer.machine(token)
    assert (machine.kind, machine.client_id, machine.object_id) == ("machine", vm_id, "33333333-3333-3333-3333-333333333333")
    assert machine.resource_id.endswith("/machines/i-1")
    with pytest.raises(ArmError, match="not acceptable"):
        bearer.caller(token)
    refused(endpoint, assertion_form(vm_id, key_of("evil").sign(statement(vm_id, clock, jti="2"))), oauth.BAD_ASSERTION)
    refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))), oauth.BAD_ASSERTION)
    refused(
        endpoint,
        assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock, jti="3", exp=int(clock()) + 301))),
        oauth.BAD_ASSERTION,
    )


@pytest.mark.parametrize(("state", "days"), [("pending", 90), ("enrolled", 0)])
def test_only_enrolled_machines_sign_in(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store, state: str, days: int
) -> None:
    vm_id = enrol(key_of("machine"), state=state, days=days)
    caught = refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))), oauth.BAD_ASSERTION)
    assert "not enrolled" in caught.description
    with store.read() as connection:
        assert not connection.execute(select(used_assertions)).all()


def test_the_first_use_of_the_next_key_drops_the_old_one(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    sign = {
        name: (lambda jti, name=name: assertion_form(vm_id, key_of(name).sign(statement(vm_id, clock, jti=jti))))
        for name in ("machine", "renewed")
    }
    assert endpoint.answer(sign["machine"]("1"))
    assert endpoint.answer(sign["renewed"]("2"))
    refused(endpoint, sign["machine"]("3"), oauth.BAD_ASSERTION)
    assert endpoint.answer(sign["renewed"]("4"))
    with store.read() as connection:
        row = connection.execute(select(registrations)).mappings().one()
    assert (row["public_key"], row["next_public_key"], row["next_key_hash"]) == (key_of("renewed").pkcs1, None, None)


def test_a_refused_use_of_the_next_key_commits_nothing(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    refused(endpoint, assertion_form(vm_id, key_of("renewed").sign(statement(vm_id, clock, aud="https://evil.test"))), oauth.BAD_ASSERTION)
    with store.read() as connection:
        assert connection.execute(select(registrations.c.public_key)).scalar_one() == key_of("machine").pkcs1
    assert endpoint.answer(assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))))


def test_concurrent_uses_of_the_next_key_commit_once_and_all_succeed(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    forms = [assertion_form(vm_id, key_of("renewed").sign(statement(vm_id, clock, jti=str(number)))) for number in range(6)]
    assert race(endpoint, forms) == ["in"] * 6
    with store.read() as connection:
        row = connection.execute(select(registrations)).mappings().one()
    assert (row["public_key"], row["next_public_key"]) == (key_of("renewed").pkcs1, None)


def test_old_and_next_key_at_once_never_leave_the_old_one_valid(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys
) -> None:
    vm_id = enrol(key_of("machine"), next_key=key_of("renewed"))
    names = ["machine", "renewed"] * 3
    forms = [assertion_form(vm_id, key_of(name).sign(statement(vm_id, clock, jti=str(number)))) for number, name in enumerate(names)]
    outcomes = race(endpoint, forms)
    assert [outcome for name, outcome in zip(names, outcomes, strict=True) if name == "renewed"] == ["in"] * 3
    refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock, jti="later"))), oauth.BAD_ASSERTION)


def test_a_removed_machine_is_refused_at_once(
    endpoint: TokenEndpoint, enrol: Callable[..., str], clock: Clock, key_of: Keys, store: Store
) -> None:
    vm_id = enrol(key_of("machine"))
    assert endpoint.answer(assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock))))
    with store.begin() as connection:
        connection.execute(update(registrations).values(state="removed"))
    caught = refused(endpoint, assertion_form(vm_id, key_of("machine").sign(statement(vm_id, clock, jti="2"))), oauth.BAD_ASSERTION)
    assert caught.status == 410, "the agent forgets its identity"
    stranger = refused(endpoint, assertion_form(vm_id, key_of("other").sign(statement(vm_id, clock, jti="3"))), oauth.BAD_ASSERTION)
    assert stranger.status == 401
