"""Isthmus.Access: the roles that a person may take, grants, sessions, revocations, and the end of a person's access."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, Table, select

from isthmus.access import grants, leaving, revocations
from isthmus.access.broker import SHELL, Broker, refused
from isthmus.access.deciding import Decision, decide
from isthmus.access.federation import direct_connectors
from isthmus.access.mappings import ROLE_MAPPINGS, RoleMapping
from isthmus.access.requests import Requests
from isthmus.access.revocations import Revocation
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.engine import Engine, Lookup
from isthmus.providers import role_mappings
from isthmus.providers.access_requests import RequestTypes
from isthmus.providers.bodies import Body, read
from isthmus.providers.history import VERSIONS
from isthmus.providers.why import why
from isthmus.store.tables import access_grants, access_sessions

ROLES, GRANTS = "Isthmus.Access/roles", "Isthmus.Access/grants"
SESSIONS, REVOCATIONS, PEOPLE = "Isthmus.Access/sessions", "Isthmus.Access/revocations", "Isthmus.Access/people"
_TENANT = frozenset({Scope.TENANT})
_MOST = 500


class Leaving(Body):
    """Body of `offboard`."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "Offboarded."


class Ending(Body):
    """Body of `end` of a grant."""

    reason: Annotated[str, Field(min_length=1, max_length=250)] = "Ended by an administrator."


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

    def rows(self) -> tuple[ResourceType, ...]:
        """Every type."""
        asking = RequestTypes(engine=self.engine, requests=self.requests, named=self._named)
        mappings = role_mappings.row(self.lookup, lambda: self.broker.used is not None)
        own = (self._roles(asking.action()), self._grants(), self._sessions(), self._revocations(), self._people())
        return (mappings, *own, *asking.rows())

    def _roles(self, request: Action) -> ResourceType:
        credentials = Action(name="credentials", act=self._credentials, needs_resource=False, is_open=True)
        actions = (credentials, request, why(self.broker, self._named))
        return ResourceType(name=ROLES, scopes=_TENANT, versions=VERSIONS, enumerate=self._my_roles, is_open=True, actions=actions)

    def _my_roles(self, ask: Ask) -> Iterable[Mapping[str, Any]]:
        """What the caller may take, or could after one more step; roles of others' groups stay unnamed. ArmError 401 `SignInNeeded` for
        who has not signed in with the directory, since nobody can know what concerns them."""
        self.broker.require_sign_in(ask.actor)
        found = [(mapping, decide(self.broker.know(mapping, ask.actor))) for mapping in self._mappings()]
        shown = [_role(mapping, decision) for mapping, decision in found if _concerns(decision)]
        return sorted(shown, key=lambda body: str(body["id"]).lower())

    def _mappings(self) -> Iterable[RoleMapping]:
        return (self.broker.mapping(str(one.id)) for one in self.lookup.all(types=[ROLE_MAPPINGS]))

    def _named(self, name: str) -> RoleMapping:
        """The role of a label."""
        for mapping in self._mappings():
            if mapping.label.lower() == name.lower():
                return mapping
        raise ArmError("RoleNotFound", f"There is no role '{name[:100]}'. List yours: isthmus aws roles.", status=404, target=name[:100])

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

    def _grants(self) -> ResourceType:
        def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
            wanted = _chosen(ask, access_grants)
            order = select(access_grants.c.id).where(*wanted).order_by(access_grants.c.began_at.desc()).limit(_MOST)
            now = self.engine.now()
            with self.engine.store.read() as connection:
                found = [grants.find(connection, id) for id in connection.execute(order).scalars()]
            return sorted((_grant(one, now) for one in found if one), key=lambda body: str(body["id"]).lower())

        def one(ask: Ask) -> Mapping[str, Any] | None:
            with self.engine.store.read() as connection:
                found = grants.find(connection, ask.id.name)
            return None if found is None else _grant(found, self.engine.now())

        end = Action(name="end", act=self._end, needs_resource=False)
        return ResourceType(name=GRANTS, scopes=_TENANT, versions=VERSIONS, enumerate=listed, read=one, actions=(end,))

    def _end(self, _resource: Resource | None, ask: Ask) -> Answer:
        asked = read(Ending, ask.body or {})
        with self.engine.store.begin() as connection:
            found = grants.find(connection, ask.id.name)
            if found is None:
                raise ArmError("GrantNotFound", f"There is no grant '{ask.id.name[:64]}'.", status=404, target=str(ask.id))
            detail = {"grant": found.id, "reason": asked.reason}
            self.engine.apply_within(connection, Change(detail=detail), ask.actor, f"{GRANTS}/end", str(ask.id))
            made = revocations.end_grants(connection, self.engine, [found], ask.actor, asked.reason)
        return Answer(body={"revocations": list(made)})

    def _sessions(self) -> ResourceType:
        def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
            now = self.engine.now()
            wanted = _chosen(ask, access_sessions)
            if ask.query.get("state", "").lower() == "live":
                wanted += [access_sessions.c.lease_until > now, access_sessions.c.revoked_at.is_(None)]
            order = select(access_sessions).where(*wanted).order_by(access_sessions.c.issued_at.desc()).limit(_MOST)
            with self.engine.store.read() as connection:
                found = [dict(row) for row in connection.execute(order).mappings()]
            return sorted((_session(row, now) for row in found), key=lambda body: str(body["id"]).lower())

        return ResourceType(name=SESSIONS, scopes=_TENANT, versions=VERSIONS, enumerate=listed)

    def _revocations(self) -> ResourceType:
        def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
            with self.engine.store.read() as connection:
                found = revocations.page(connection, person=ask.query.get("person", ""), limit=_MOST)
                direct = direct_connectors(connection)
            return sorted((_revocation(one, direct) for one in found), key=lambda body: str(body["id"]).lower())

        def one(ask: Ask) -> Mapping[str, Any] | None:
            with self.engine.store.read() as connection:
                found = revocations.find(connection, ask.id.name)
                direct = direct_connectors(connection)
            return None if found is None else _revocation(found, direct)

        return ResourceType(name=REVOCATIONS, scopes=_TENANT, versions=VERSIONS, enumerate=listed, read=one)

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
            id = leaving.offboard(connection, self.engine, person, ask.actor, asked.reason)
            made = revocations.find(connection, id)
            direct = direct_connectors(connection)
        assert made is not None
        return Answer(body=_revocation(made, direct))

    def _readmit(self, _resource: Resource | None, ask: Ask) -> Answer:
        if not ask.permits("Microsoft.Authorization/roleAssignments/write", "/"):
            raise ArmError("AuthorizationFailed", "Only an owner of the tenant ('/') lets people in again.", status=403)
        with self.engine.store.begin() as connection:
            lifted = revocations.readmit(connection, self.engine, _object_id(ask.id.name), ask.actor)
        return Answer(body={"lifted": lifted})


def _chosen(ask: Ask, table: Table) -> list[ColumnElement[bool]]:
    """The rows of one person, or of one mapping, where the query names them."""
    return [table.c[name] == ask.query[name].lower() for name in ("person", "mapping") if ask.query.get(name)]


def _object_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        message = f"A person is named by the object id in the directory (a UUID), not by '{given[:64]}'."
        raise invalid(message, target="person", code="InvalidPerson") from error


def _concerns(decision: Decision) -> bool:
    refusal = decision.refusal
    return refusal is None or refusal.code not in ("NotAMember", "PersonDisabled", "AccessRevoked")


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
            "state": error.code if error else "Available",
            "stateDetails": error.message if error else f"Because of {decision.because}.",
        },
    }


def _grant(grant: grants.Grant, now: int) -> dict[str, Any]:
    return {
        "id": f"/providers/{GRANTS}/{grant.id}",
        "name": grant.id,
        "type": GRANTS,
        "properties": {
            "mapping": grant.mapping,
            "person": grant.person,
            "personName": grant.name,
            "because": grant.because,
            "state": grant.state(now),
            "breakGlass": grant.is_break_glass,
            "beganAt": instant(grant.began_at),
            "endsAt": instant(grant.ends_at),
            "checkedAt": instant(grant.checked_at),
            "endedAt": instant(grant.ended_at) if grant.ended_at else None,
            "ending": grant.ending,
        },
    }


def _session(row: Mapping[str, Any], now: int) -> dict[str, Any]:
    state = "Revoked" if row["revoked_at"] else "Live" if row["lease_until"] > now else "Ended"
    return {
        "id": f"/providers/{SESSIONS}/{row['id']}",
        "name": row["id"],
        "type": SESSIONS,
        "properties": {
            "accessKeyId": row["id"],
            "grant": row["grant"],
            "mapping": row["mapping"],
            "person": row["person"],
            "signIn": row["sign_in"],
            "accountId": row["account"],
            "roleArn": row["role_arn"],
            "use": row["use"],
            "state": state,
            "issuedAt": instant(row["issued_at"]),
            "leaseUntil": instant(row["lease_until"]),
        },
    }


def _revocation(found: Revocation, direct: Collection[str]) -> dict[str, Any]:
    """`isDirect` accounts trust a directory: what it begins anew, only it can stop."""
    denials = [
        {
            "connector": one.connector,
            "state": one.state,
            "attachedAt": instant(one.attached_at) if one.attached_at else None,
            "deniedAt": instant(one.denied_at) if one.denied_at else None,
            "seconds": round((one.denied_at - found.at) / 1000, 3) if one.denied_at else None,
            "shells": one.shells,
            "isDirect": one.connector in direct,
            "details": one.detail,
        }
        for one in found.denials
    ]
    measured = [one["seconds"] for one in denials if one["seconds"] is not None]
    waits = any(one.state != revocations.DENIED for one in found.denials)
    return {
        "id": f"/providers/{REVOCATIONS}/{found.id}",
        "name": found.id,
        "type": REVOCATIONS,
        "properties": {
            "person": found.person,
            "grant": found.grant or None,
            "reason": found.reason,
            "actor": found.actor,
            "at": instant(found.at),
            "until": instant(found.until),
            "readmittedAt": instant(found.readmitted_at) if found.readmitted_at else None,
            "state": "Pending" if waits else "Denied",
            "seconds": max(measured, default=None),
            "accounts": denials,
        },
    }
