"""Who may take what now: the decision that minting would take, for every role of one person, or for everybody and the roles of one account.

People are those whose sign-in stands; of others nobody can say what a provider would vouch for. Nothing is granted or recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from isthmus.access.broker import Broker
from isthmus.access.deciding import Decision, decide
from isthmus.access.mappings import RoleMapping
from isthmus.arm.types import Actor
from isthmus.identity import evidence
from isthmus.store.tables import sign_ins

LOOKED_AT: Final = 100
"""How many people one page looks at, whether or not they may take anything."""
_UNRELATED = frozenset({"NotAMember", "PersonDisabled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Entitlement:
    """One person and one role. `name` is what the sign-in called them; `decision` says whether they may, why, and until when."""

    person: str
    name: str
    mapping: RoleMapping
    decision: Decision

    @property
    def concerns(self) -> bool:
        """Whether the role is meant for the person: they may take it, or could after one more step."""
        refusal = self.decision.refusal
        return refusal is None or refusal.code not in _UNRELATED


def of_person(broker: Broker, mappings: Iterable[RoleMapping], person: str) -> tuple[Entitlement, ...]:
    """What one person may take, by name of the role; roles that are not meant for them are left out."""
    with broker.engine.store.read() as connection:
        found = evidence.latest(connection, person, broker.engine.now())
    name, sign_in = (found.name, found.id) if found else ("", "")
    actor = Actor(id=person.lower(), kind="User", name=name, sign_in=sign_in)
    return _decided(broker, mappings, actor)


def of_account(broker: Broker, mappings: Sequence[RoleMapping], after: str) -> tuple[tuple[Entitlement, ...], str]:
    """Who may take these roles: of the next people behind the object id `after`; and the last of them, empty when nobody follows."""
    people = _signed_in(broker, after)
    found = [one for actor in people[:LOOKED_AT] for one in _decided(broker, mappings, actor)]
    return tuple(found), people[LOOKED_AT - 1].id if len(people) > LOOKED_AT else ""


def _signed_in(broker: Broker, after: str) -> list[Actor]:
    """People whose sign-in stands, in the order of their object ids, each with the latest."""
    row = sign_ins.c
    with broker.engine.store.read() as connection:
        now = broker.engine.now()
        living = (row.ended_at.is_(None), row.ends_at > now, row.object_id > after)
        ids = select(row.object_id).where(*living).distinct().order_by(row.object_id).limit(LOOKED_AT + 1)
        found = [evidence.latest(connection, id, now) for id in connection.execute(ids).scalars()]
    return [Actor(id=one.object_id, kind="User", name=one.name, sign_in=one.id) for one in found if one is not None]


def _decided(broker: Broker, mappings: Iterable[RoleMapping], actor: Actor) -> tuple[Entitlement, ...]:
    ordered = sorted(mappings, key=lambda mapping: mapping.label.lower())
    made = (
        Entitlement(person=actor.id, name=actor.name, mapping=known.mapping, decision=decide(known))
        for known in broker.know_each(ordered, actor)
    )
    return tuple(one for one in made if one.concerns)
