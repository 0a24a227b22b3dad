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

from isthmus.access import grants, leaving
from isthmus.access.broker import Broker, Issued
from isthmus.access.running_as import RunAs
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.contract import PersonCredentials
from isthmus.identity import evidence, people
from isthmus.identity.people import Person, person_of
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

    def issue(self, actor: Actor, role: str = "Reader", use: str = "credentials") -> Issued:
        return self.broker.issue(self.broker.mapping(str(mapping_id(role))), actor, use=use)

    def refused(self, actor: Actor, role: str = "Reader", use: str = "credentials") -> ArmError:
        before = len(self.account.tags)
        with pytest.raises(ArmError) as caught:
            self.issue(actor, role, use)
        assert len(self.account.tags) == before, "nothing was asked of the account"
        return caught.value


@pytest.fixture
def given(store: Store, clock: Clock) -> Given:
    here, account = desk(store, clock), Account()
    unsafe: Any = {"cloud": account, "issuer": Paper(), "run": asyncio.run, "machines": RunAs(issuer="i")}
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


SHELL = "shell:eu-west-1"


def _with_mail(given: Given, mail: str, *, issuer: str = "i", **claims: Any) -> Actor:
    """Somebody new, as `mail` is told by the claim `email` unless `claims` tell otherwise; they may open shells."""
    here, told = given.desk, {"iss": issuer, "sub": str(uuid.uuid4()), "email": mail, "amr": ["mfa"], "groups": ["g-ops"], **claims}
    person = person_of(told)
    here.groups.members[person.object_id] = {"g-ops"}
    here.put("Machines", {"groups": ["g-ops"], "machineTag": "team:red"})
    with here.engine.store.begin() as connection:
        people.remember(connection, person, here.clock)
        made = evidence.new_sign_in(connection, person, told, clock=here.clock, identifier=lambda: str(uuid.uuid4()), seconds=3_600)
    return Actor(id=person.object_id, kind="User", name=person.name, sign_in=made.id)


def _user(given: Given, actor: Actor, use: str = SHELL) -> list[str] | None:
    """The tag of a session."""
    given.issue(actor, "Machines", use)
    return given.account.tags[-1].get("SSMSessionRunAs")


def _told(given: Given, actor: Actor) -> str:
    """Why no shell is given; credentials are, without the tag."""
    error = given.refused(actor, "Machines", SHELL)
    assert (error.code, error.status) == ("NoUnixUser", 403)
    assert _user(given, actor, "credentials") is None
    return error.message


def _naming(given: Given, *domains: str) -> Given:
    return replace(given, broker=replace(given.broker, machines=RunAs(domains=frozenset(domains), issuer="i")))


def test_shells_run_as_what_a_vouched_address_begins_with(given: Given) -> None:
    assert _user(given, _with_mail(given, "Alice@people.example")) == ["alice"]
    assert _user(given, _with_mail(given, "bob@people.example", email_verified=True)) == ["bob"]
    assert _user(given, _with_mail(given, "carol_2@people.example", email_verified="true")) == ["carol_2"]
    assert _user(given, _with_mail(given, "Erin.Smith-Jones@people.example")) == ["erin.smith-jones"]
    named = _naming(given, "people.example")
    assert _user(named, _with_mail(given, "dave@PEOPLE.example")) == ["dave"]


@pytest.mark.parametrize("said", [False, "false", None, 0, 1, "yes", []])
def test_an_address_that_the_provider_does_not_vouch_for_names_nobody(given: Given, said: object) -> None:
    mallory = _with_mail(given, "alice@evil.example", email_verified=said)
    assert "verified" in _told(given, mallory)
    assert "verified" in _told(_naming(given, "evil.example"), mallory)


def test_an_address_counts_by_its_own_sign_in_and_not_by_another(given: Given) -> None:
    """What is shown of people follows their latest sign-in; a shell does not."""
    first = _with_mail(given, "alice@people.example", sub="mallory", email_verified=True)
    second = _with_mail(given, "bob@people.example", sub="mallory", email_verified=False)
    assert first.id == second.id
    assert _user(given, first) == ["alice"]
    _told(given, second)


def test_a_name_that_people_choose_is_no_address_but_at_entra(given: Given) -> None:
    _told(given, _with_mail(given, "", preferred_username="alice@people.example"))
    tenant = "11111111-2222-3333-4444-555555555555"
    entra = f"https://login.microsoftonline.com/{tenant}/v2.0"
    known = replace(given, broker=replace(given.broker, machines=RunAs(issuer=entra)))
    claims = {"oid": str(uuid.UUID(int=7)), "tid": tenant, "preferred_username": "alice@people.example"}
    assert _user(known, _with_mail(given, "", issuer=entra, **claims)) == ["alice"]


def test_only_the_installations_provider_and_the_named_domains_count(given: Given) -> None:
    assert "provider" in _told(given, _with_mail(given, "alice@people.example", issuer="https://former.example"))
    unsaid = replace(given, broker=replace(given.broker, machines=RunAs()))
    assert "provider" in _told(unsaid, _with_mail(given, "bob@people.example"))
    named = _naming(given, "people.example")
    for domain in ("evil.example", "evil-people.example", "sub.people.example", "people.example.evil.example"):
        assert "ISTHMUS_RUN_AS_DOMAINS" in _told(named, _with_mail(given, f"erin@{domain}"))
    _told(named, _with_mail(given, "erin@people.example@evil.example"))
    _told(named, _with_mail(given, '"root@x"@people.example'))


@pytest.mark.parametrize(
    "name",
    [
        "root",
        "Root",
        "daemon",
        "ec2-user",
        "ubuntu",
        "ssm-user",
        "admin",
        "systemd-network",
        "www-data",
        "_apt",
        "-x",
        "9lives",
        "a.",
        ".a",
        "a..b",
        "a+b",
        "a b",
        "a" * 32,
        "\u212aate",
        "ali\u0441e",
        "%",
    ],
)
def test_users_of_the_system_and_what_is_no_user_open_no_shell(given: Given, name: str) -> None:
    _told(given, _with_mail(given, f"{name}@people.example"))
    _told(_naming(given, "people.example"), _with_mail(given, f"{name}@people.example"))


def test_two_people_of_one_name_are_neither(given: Given) -> None:
    alice = _with_mail(given, "alice@people.example")
    assert _user(given, alice) == ["alice"]
    assert _user(given, _with_mail(given, "al_ce@people.example")) == ["al_ce"], "a mark that stands for any letter is a letter here"
    other = _with_mail(given, "ALICE@elsewhere.example")
    assert "else" in _told(given, alice)
    assert "else" in _told(given, other)
    named = _naming(given, "people.example")
    assert _user(named, alice) == ["alice"], "an address that does not count takes nothing from anybody"
    assert "ISTHMUS_RUN_AS_DOMAINS" in _told(named, other)
    with given.desk.engine.store.begin() as connection:
        leaving.offboard(connection, given.desk.engine, other.id, ADMIN, "left")
    assert _user(given, alice) == ["alice"]


def test_a_role_without_machines_asks_for_no_user(given: Given) -> None:
    root = _with_mail(given, "root@people.example")
    given.issue(root, "Reader", SHELL)
    assert "SSMSessionRunAs" not in given.account.tags[-1]
