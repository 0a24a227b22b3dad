"""The ways in which people come in, whatever they came through: each leaves an audit record, and refusals of strangers are counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from isthmus.access.revocations import hold_person, is_revoked
from isthmus.api.consents import Consents
from isthmus.api.exchange import Exchange
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.engine import Engine
from isthmus.identity import evidence, links, people
from isthmus.identity.assertions import spender
from isthmus.identity.clients import random_id
from isthmus.identity.evidence import SignedIn
from isthmus.identity.openid import Begun, OpenId
from isthmus.identity.people import Person
from isthmus.identity.sessions import Sessions

Found = TypeVar("Found")
ACTION = "Isthmus.Identity/signIn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """Who has signed in, what the provider vouched for, and the page of ours to go on to."""

    person: Person
    sign_in: SignedIn
    return_to: str


@dataclass(frozen=True, kw_only=True)
class LinkEntry:
    """Sign-in by single-use link. `admin` is the object id of the administrator, who stands for whoever uses one."""

    engine: Engine
    refusals: Refusals
    sessions: Sessions
    admin: str

    def use(self, code: str, *, correlation: str = "") -> Person:
        """Whom a code lets in; it is used up. ArmError 401 `InvalidSignInLink` for a used, unknown or late one, 403 `AccessRevoked`."""
        return self._consume(code, correlation, lambda _connection, person: person)

    def open(self, code: str, *, correlation: str = "") -> str:
        """As `use`, and opens a session of the browser in the same transaction; its secret."""
        return self._consume(code, correlation, lambda connection, person: self.sessions.open_within(connection, person, provider=""))

    def _consume(self, code: str, correlation: str, then: Callable[[Connection, Person], Found]) -> Found:
        actor = Actor(id=self.admin, kind="User", name="Administrator", correlation=correlation)
        try:
            with self.engine.store.read() as connection:
                # Guesses are turned away before anything waits for the database.
                links.require_unused(connection, code, self.engine.clock)
            with self.engine.store.begin() as connection:
                hold_person(connection, self.admin)
                maker = links.consume(connection, code, self.engine.clock)
                if is_revoked(connection, self.admin):
                    raise ArmError("AccessRevoked", "The access of the administrator of sign-in links was taken away.", status=403)
                self.engine.apply_within(connection, Change(detail={"madeBy": maker}), actor, ACTION, "/sign-in")
                return then(connection, Person(object_id=self.admin, name="administrator"))
        except ArmError as error:
            _count(self.refusals, error, "/sign-in", correlation)
            raise


@dataclass(frozen=True, kw_only=True)
class ProviderEntry:
    """Sign-in with an OpenID provider, good for `seconds`. Nothing is written before it has vouched for somebody."""

    engine: Engine
    refusals: Refusals
    openid: OpenId
    seconds: float
    identifier: Callable[[], str] = random_id

    @property
    def label(self) -> str:
        """What the button says."""
        return self.openid.provider.label

    @property
    def issuer(self) -> str:
        """Who vouches; the `provider` of the sessions that follow."""
        return self.openid.provider.issuer

    def begin(self, return_to: str) -> Begun:
        """See `isthmus.identity.openid.OpenId.begin`."""
        return self.openid.begin(return_to)

    def finish(self, cookie: str, query: Mapping[str, str], *, correlation: str = "") -> Finished:
        """See `isthmus.identity.openid.OpenId.finish`. The person and the evidence are kept, and one sign-in counts once."""
        try:
            vouched = self.openid.finish(cookie, query)
            person = vouched.person
            with self.engine.store.begin() as connection:
                if not spender(connection, self.engine.clock)(vouched.once, vouched.until):
                    raise ArmError("SignInMismatch", "This sign-in was finished before. Begin again.", status=401)
                # Whoever takes their access away waits for this sign-in and ends it, or this one sees that it was taken.
                hold_person(connection, person.object_id)
                if is_revoked(connection, person.object_id):
                    raise ArmError(
                        "AccessRevoked",
                        f"Your access was taken away. Ask whoever runs access here; they know you as {person.name or 'the object id'} "
                        f"{person.object_id}.",
                        status=403,
                    )
                people.remember(connection, person, self.engine.clock)
                found = evidence.new_sign_in(
                    connection, person, vouched.claims, clock=self.engine.clock, identifier=self.identifier, seconds=self.seconds
                )
                actor = Actor(id=person.object_id, kind="User", name=person.name, correlation=correlation, sign_in=found.id)
                self.engine.apply_within(
                    connection,
                    Change(detail={"issuer": person.issuer, "signIn": found.id, "tokenId": found.token_id}),
                    actor,
                    ACTION,
                    "/sign-in/callback",
                )
        except ArmError as error:
            _count(self.refusals, error, "/sign-in/callback", correlation)
            raise
        return Finished(person=person, sign_in=found, return_to=vouched.return_to)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Everything a face needs to let people and their command lines in and out; `provider` is None where none is configured."""

    sessions: Sessions
    link: LinkEntry
    consents: Consents
    exchange: Exchange
    provider: ProviderEntry | None = None


def _count(refusals: Refusals, error: ArmError, target: str, correlation: str) -> None:
    if error.status < 500:
        refusals.refuse(Actor(id="anonymous", kind="User", correlation=correlation), "sign-in", target, error)
