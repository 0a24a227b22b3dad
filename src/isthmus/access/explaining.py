"""Why somebody may, or may not, take a role now: the decision that minting would take, step by step, with what it stands on.

It is the same decision over the same knowledge, for the person's latest sign-in. Nothing is granted, recorded or minted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from isthmus.access.broker import Broker
from isthmus.access.deciding import Decision, decide
from isthmus.access.grants import Grant
from isthmus.access.mappings import OFF, REQUEST, RoleMapping
from isthmus.access.shrinking import EVERYTHING
from isthmus.arm.types import Actor
from isthmus.identity import evidence
from isthmus.identity.evidence import SignedIn
from isthmus.store.tables import access_grants, access_sessions


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of the mapping: its property, what it demands, and the step that looks at it."""

    property: str
    value: Any
    step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LastSession:
    """The last session that a person had of a role; times in milliseconds."""

    id: str
    grant: str
    use: str
    issued_at: int
    lease_until: int
    revoked_at: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """What a decision looked at and came to. `sign_in` is None where the person has none that stands; `grants` are the living ones.
    `suggested` are the actions that least privilege would leave, or leaves; everything where it is off or nobody knows what was used."""

    mapping: RoleMapping
    person: str
    sign_in: SignedIn | None
    decision: Decision
    lines: tuple[Line, ...]
    grants: tuple[Grant, ...] = ()
    last: LastSession | None = None
    suggested: tuple[str, ...] = EVERYTHING


def explain(broker: Broker, mapping: RoleMapping, person: str) -> Explanation:
    """The explanation for a person (object id). A directory is asked as for a session."""
    person, now = person.lower(), broker.engine.now()
    with broker.engine.store.read() as connection:
        found = evidence.latest(connection, person, now)
        held, last = history(connection, mapping.key, person, now)
    actor = Actor(id=person, kind="User", name=found.name if found else "", sign_in=found.id if found else "")
    decision = decide(broker.know(mapping, actor))
    return Explanation(
        mapping=mapping,
        person=person,
        sign_in=found,
        decision=decision,
        lines=policy(mapping),
        grants=held,
        last=last,
        suggested=broker.suggested(mapping, person, decision.until or now),
    )


def policy(mapping: RoleMapping) -> tuple[Line, ...]:
    """The lines of a mapping that decide, in the order of the decision. Groups and claims are alternatives."""
    written: Sequence[tuple[str, Any, str]] = (
        ("requiresMfa", mapping.requires_mfa, "second factor"),
        ("requiredContexts", sorted(mapping.contexts), "context"),
        ("claims", {name: sorted(values) for name, values in sorted(mapping.claims.items())}, "membership"),
        ("groups", sorted(mapping.groups), "membership"),
        ("activation.mode", mapping.activation, "request" if mapping.activation == REQUEST else ""),
        ("leaseSeconds", mapping.lease_seconds, ""),
        ("allowedAddresses", list(mapping.addresses), ""),
        ("leastPrivilege", "" if mapping.least_privilege == OFF else mapping.least_privilege, ""),
    )
    return tuple(Line(property=name, value=value, step=step) for name, value, step in written if value not in ([], {}, False, ""))


def history(connection: Connection, mapping: str, person: str, now: int) -> tuple[tuple[Grant, ...], LastSession | None]:
    """Living grants of a person for a role, and the last session of any. Two queries: one over the grants of the pair, which finds the
    newest session of each by its index, and one for that session. They are not ordered there: that would invite the index by mapping."""
    sessions, rows = access_sessions.c, access_grants.c
    newest = select(func.max(sessions.issued_at)).where(sessions.grant == rows.id).correlate(access_grants).scalar_subquery()
    asked = select(access_grants, newest.label("newest")).where(rows.person == person, rows.mapping == mapping)
    found = sorted(connection.execute(asked), key=lambda row: (row.began_at, row.id), reverse=True)
    grants = [(Grant(**{name: getattr(row, name) for name in Grant.__dataclass_fields__}), row.newest) for row in found]
    living = tuple(grant for grant, _ in grants if grant.state(now) == "Active")
    used = [(at, grant.id) for grant, at in grants if at is not None]
    if not used:
        return living, None
    at, grant = max(used)
    row = connection.execute(select(access_sessions).where(sessions.grant == grant, sessions.issued_at == at).limit(1)).one()
    names = ("id", "grant", "use", "issued_at", "lease_until", "revoked_at")
    return living, LastSession(**{name: getattr(row, name) for name in names})
