"""Isthmus.Access: the roles that a person may take, and the end of a person's access."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator
from sqlalchemy import Connection

from isthmus.access import leaving, revocations
from isthmus.access.broker import SHELL, Broker, refused
from isthmus.access.deciding import Decision, decide
from isthmus.access.former import trusted_connectors
from isthmus.access.group_names import GroupNames
from isthmus.access.mappings import ROLE_MAPPINGS, RoleMapping
from isthmus.access.requests import Requests
from isthmus.access.rights import OWNING, owned
from isthmus.access.stored import mappings_of, mappings_of_keys
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.clouds.aws.template.request import PERSON_ROLE
from isthmus.engine import Engine, Lookup
from isthmus.identity.names import names_of
from isthmus.providers import entitlements, groups, role_mappings
from isthmus.providers.access_requests import RequestTypes
from isthmus.providers.bodies import Body, read
from isthmus.providers.connectors import unique_of
from isthmus.providers.held import HeldTypes, show_revocation
from isthmus.providers.history import VERSIONS
from isthmus.providers.why import why

ROLES, PEOPLE = "Isthmus.Access/roles", "Isthmus.Access/people"
_TENANT = frozenset({Scope.TENANT})


class Leaving(Body):
    """Body of `offboard`."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "Offboarded."


class Taking(Body):
    """Body of `credentials` of a role: what for, and in which region a shell is opened."""

    use: Literal["credentials", "console", "shell"] = "credentials"
    region: Annotated[str, Field(pattern=r"^([a-z]{2,12}-){2,4}[0-9]{1,2}$")] | None = None

    @model_validator(mode="after")
    def check(self) -> Taking:
        """A region goes with a shell, and a shell with its region."""
        if (self.use == SHELL) != (self.region is not None):
            raise ValueError("Name the region of a shell, and of nothing else: shells are found and ended by region.")
        return self

    @property
    def recorded(self) -> str:
        """The use as sessions and records carry it."""
        return f"{self.use}:{self.region}" if self.region else self.use


@dataclass(frozen=True, kw_only=True)
class AccessTypes:
    """The rows of this namespace."""

    engine: Engine
    lookup: Lookup
    broker: Broker
    requests: Requests
    group_names: GroupNames

    def rows(self) -> tuple[ResourceType, ...]:
        """Every type."""
        asking = RequestTypes(engine=self.engine, requests=self.requests, named=self._named, group_names=self.group_names)
        mappings = role_mappings.row(self.lookup)
        entitled = entitlements.row(self.broker, self._mappings)
        held = HeldTypes(engine=self.engine).rows()
        grouped = groups.row(self._mappings, self.group_names)
        return (mappings, self._roles(asking.action()), self._people(), entitled, grouped, *held, *asking.rows())

    def _roles(self, request: Action) -> ResourceType:
        credentials = Action(name="credentials", act=self._credentials, needs_resource=False, is_open=True)
        actions = (credentials, request, why(self.broker, self._named))
        return ResourceType(name=ROLES, scopes=_TENANT, versions=VERSIONS, enumerate=self._my_roles, is_open=True, actions=actions)

    def _my_roles(self, ask: Ask) -> Iterable[Mapping[str, Any]]:
        """What the caller may take, or could after one more step; roles of others' groups stay unnamed. ArmError 401 `SignInNeeded` for
        who has not signed in with the directory, since nobody can know what concerns them."""
        self.broker.require_sign_in(ask.actor)
        found = ((known.mapping, decide(known)) for known in self.broker.know_each(self._mappings(), ask.actor))
        shown = [_role(mapping, decision) for mapping, decision in found if _concerns(decision)]
        return sorted(shown, key=lambda body: str(body["id"]).lower())

    def _mappings(self) -> Collection[RoleMapping]:
        stored = list(self.lookup.all(types=[ROLE_MAPPINGS]))
        with self.engine.store.read() as connection:
            return mappings_of(connection, stored).values()

    def _named(self, label: str) -> RoleMapping:
        """The role of a label: there is one connector for an account."""
        account, _, name = label.partition(".")
        connector = self.lookup.holder(unique_of(account)) if PERSON_ROLE.fullmatch(name) else None
        if connector is not None:
            key = f"{connector.id}/providers/{ROLE_MAPPINGS}/{name}".lower()
            with self.engine.store.read() as connection:
                if found := mappings_of_keys(connection, {key}).get(key):
                    return found
        told = f"There is no role '{label[:100]}'. List yours: isthmus aws roles."
        raise ArmError("RoleNotFound", told, status=404, target=label[:100])

    def _credentials(self, _resource: Resource | None, ask: Ask) -> Answer:
        asked = read(Taking, ask.body or {})
        mapping = self._named(ask.id.name)
        issued = self.broker.issue(mapping, ask.actor, use=asked.recorded)
        made = issued.credentials
        return Answer(
            body={
                "accessKeyId": made.access_key,
                "secretAccessKey": made.secret_key,
                "sessionToken": made.session_token,
                "expiration": instant(issued.until),
                "roleArn": mapping.role_arn,
                "accountId": mapping.target.account,
                "grant": issued.grant,
            }
        )

    def _people(self) -> ResourceType:
        actions = (
            Action(name="offboard", act=self._offboard, needs_resource=False),
            Action(name="readmit", act=self._readmit, needs_resource=False),
        )
        return ResourceType(name=PEOPLE, scopes=_TENANT, versions=VERSIONS, actions=actions)

    def _offboard(self, _resource: Resource | None, ask: Ask) -> Answer:
        asked = read(Leaving, ask.body or {})
        person = _object_id(ask.id.name)
        with self.engine.store.begin() as connection:
            _require_as_much(connection, ask, person)
            id = leaving.offboard(connection, self.engine, person, ask.actor, asked.reason)
            made = revocations.find(connection, id)
            direct, names = trusted_connectors(connection, self.engine.now()), names_of(connection, [person])
        assert made is not None
        return Answer(body=show_revocation(made, direct, names.get(person)))

    def _readmit(self, _resource: Resource | None, ask: Ask) -> Answer:
        if not ask.permits("Microsoft.Authorization/roleAssignments/write", "/"):
            raise ArmError("AuthorizationFailed", "Only an owner of the tenant ('/') lets people in again.", status=403)
        person = _object_id(ask.id.name)
        if person == ask.actor.id.lower():
            raise ArmError("AuthorizationFailed", "Nobody lets themselves in again. Ask another owner of the tenant ('/').", status=403)
        with self.engine.store.begin() as connection:
            lifted = revocations.readmit(connection, self.engine, person, ask.actor)
        return Answer(body={"lifted": lifted})


def _require_as_much(connection: Connection, ask: Ask, person: str) -> None:
    """ArmError 403 `AuthorizationFailed` for a caller who is no owner where the person is one: who may not take the role from somebody
    may not bar them from using it either."""
    above = [scope for scope in sorted(owned(connection, person)) if not ask.permits(OWNING, scope)]
    if above:
        whose = ", ".join(f"'{scope}'" for scope in above[:3])
        raise ArmError(
            "AuthorizationFailed",
            f"This person is an Owner at {whose}, and only Owners there take their access away. Ask one of them, or have the directory "
            "disable the person.",
            status=403,
            target=f"/providers/{PEOPLE}/{person}",
        )


def _object_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        message = f"A person is named by the object id in the directory (a UUID), not by '{given[:64]}'."
        raise invalid(message, target="person", code="InvalidPerson") from error


def _concerns(decision: Decision) -> bool:
    """Whatever else is in the way first: a role that lacks a second factor too is named to its members alone."""
    return not any(step.code in ("NotAMember", "PersonDisabled", "AccessRevoked") for step in decision.steps if not step.holds)


def _role(mapping: RoleMapping, decision: Decision) -> dict[str, Any]:
    refusal = decision.refusal
    error = refused(refusal, mapping) if refusal else None
    return {
        "id": f"/providers/{ROLES}/{mapping.label}",
        "name": mapping.label,
        "type": ROLES,
        "properties": {
            "accountId": mapping.target.account,
            "mappingId": mapping.id,
            "roleArn": mapping.role_arn,
            "machineTag": mapping.machine_tag,
            "activation": mapping.activation,
            "longestSeconds": mapping.longest_seconds,
            "state": error.code if error else "Available",
            "stateDetails": error.message if error else f"Because of {decision.because}.",
        },
    }
