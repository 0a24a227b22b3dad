"""The broker over a store and an account that takes every token: what it gives, and what it does not give any more."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import select, update

from isthmus.access import grants
from isthmus.access.broker import Broker, Issued
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.contract import PersonCredentials
from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.tables import access_grants, access_revocations
from tests.access.desk import ALLOWED, Desk, desk
from tests.access.estate import ADMIN, CONNECTOR, mapping_id
from tests.support.clock import Clock


class Paper:
    """As much of an issuer as the broker uses: tokens that anybody can read."""

    def mint(self, claims: Mapping[str, Any], lifetime: int) -> str:
        return json.dumps({**claims, "lifetime": lifetime})


@dataclass
class Account:
    """Takes every token; `tags` are those of the sessions it gave."""

    tags: list[Mapping[str, list[str]]] = field(default_factory=list)

    async def exchange(self, *_: Any, token: str, **__: Any) -> PersonCredentials:
        self.tags.append(json.loads(token)["https://aws.amazon.com/tags"]["principal_tags"])
        return PersonCredentials(access_key=f"ASIA{len(self.tags)}", secret_key="s", session_token="t", expires_at=0)


@dataclass
class Given:
    """A desk whose broker reaches an account."""

    desk: Desk
    account: Account
    broker: Broker

    def issue(self, actor: Actor, role: str = "Reader") -> Issued:
        return self.broker.issue(self.broker.mapping(str(mapping_id(role))), actor)

    def refused(self, actor: Actor, role: str = "Reader") -> ArmError:
        before = len(self.account.tags)
        with pytest.raises(ArmError) as caught:
            self.issue(actor, role)
        assert len(self.account.tags) == before, "nothing was asked of the account"
        return caught.value


@pytest.fixture
def given(store: Store, clock: Clock) -> Given:
    here, account = desk(store, clock), Account()
    unsafe: Any = {"cloud": account, "issuer": Paper(), "run": asyncio.run}
    return Given(desk=here, account=account, broker=replace(here.requests.broker, **unsafe))


def _delete(here: Desk) -> None:
    here.remove(mapping_id("Reader"))


def _change(here: Desk) -> None:
    here.put("Reader", {"groups": ["g-ops", "g-more"], "statements": ALLOWED, "leaseSeconds": 60})


def _trust_a_directory(here: Desk) -> None:
    settings = {"federation": "oidc", "federationIssuer": "https://idp.test"}
    solution = CONNECTOR.extension("Microsoft.HybridConnectivity/solutionConfigurations", "access")
    put = Resource(id=solution, properties={"solutionType": "Isthmus.Access", "solutionSettings": settings})
    here.engine.apply(Change(puts=(put,)), ADMIN, "setup", "/")


@pytest.mark.parametrize(
    ("meanwhile", "code", "status"),
    [(_delete, "RoleNotFound", 404), (_change, "RoleChanged", 409), (_trust_a_directory, "RoleChanged", 409)],
)
def test_a_mapping_that_changes_while_the_directory_answers_gives_nothing(
    given: Given, monkeypatch: pytest.MonkeyPatch, meanwhile: Any, code: str, status: int
) -> None:
    here = given.desk
    alice, ask = here.sign_in("alice", "g-ops"), here.groups.ask

    def slow(person: Any, groups: Collection[str]) -> Any:
        meanwhile(here)
        return ask(person, groups)

    monkeypatch.setattr(here.groups, "ask", slow)
    error = given.refused(alice)
    assert (error.code, error.status) == (code, status)
    with here.engine.store.read() as connection:
        assert grants.living(connection, alice.id, here.engine.now()) == (), "no grant was made for it"
    if meanwhile is _change:
        monkeypatch.undo()
        assert given.issue(alice).until == here.engine.now() + 60_000, "asked again, the new terms hold"


def _guests(*values: str) -> dict[str, Any]:
    return {"claims": {"dept": list(values)}, "statements": ALLOWED}


def _signed_in(given: Given, *departments: str) -> Actor:
    """Somebody whom claims let in, and no group."""
    here = given.desk
    person = Person(object_id=str(uuid.uuid5(uuid.NAMESPACE_URL, "guest")), name="guest", issuer="i", subject="guest")
    told = {"amr": ["mfa"], "dept": list(departments)}
    with here.engine.store.begin() as connection:
        made = evidence.new_sign_in(connection, person, told, clock=here.clock, identifier=lambda: str(uuid.uuid4()), seconds=3_600)
    return Actor(id=person.object_id, kind="User", name="guest", sign_in=made.id)


def _state(given: Given, grant: str) -> str:
    with given.desk.engine.store.read() as connection:
        found = grants.find(connection, grant)
    assert found is not None
    return found.state(given.desk.engine.now())


def test_a_value_that_leaves_a_mapping_takes_the_grants_that_stand_on_it_along(given: Given) -> None:
    given.desk.put("Guest", _guests("ops", "sales"))
    guest = _signed_in(given, "ops", "sales")
    by_ops = given.issue(guest, "Guest").grant
    given.desk.put("Guest", _guests("ops", "sales", "legal"))
    assert _state(given, by_ops) == "Active", "another value more takes nothing away"
    given.desk.put("Guest", _guests("sales"))
    assert _state(given, by_ops) == "Ended"
    with given.desk.engine.store.read() as connection:
        told = connection.execute(select(access_revocations.c.grant)).scalars().all()
    assert list(told) == [by_ops], "the account is told to deny the session that still runs"
    by_sales = given.issue(guest, "Guest").grant
    assert by_sales != by_ops
    given.desk.put("Guest", _guests("legal"))
    assert _state(given, by_sales) == "Ended"
    assert given.refused(guest, "Guest").code == "NotAMember"


def test_grants_from_before_reasons_named_values_end_with_the_last_value_of_their_sign_in(given: Given) -> None:
    given.desk.put("Guest", _guests("ops", "sales"))
    grant = given.issue(_signed_in(given, "ops", "other"), "Guest").grant
    with given.desk.engine.store.begin() as connection:
        connection.execute(update(access_grants).where(access_grants.c.id == grant).values(because="claim:dept"))
    given.desk.put("Guest", _guests("ops"))
    assert _state(given, grant) == "Active"
    given.desk.put("Guest", _guests("sales", "other2"))
    assert _state(given, grant) == "Ended"
