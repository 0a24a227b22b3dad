"""Isthmus.Access: grants, sessions and revocations, newest first in pages by key; the end of one grant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Row, Table

from isthmus.access import grants, listing, revocations
from isthmus.access.former import trusted_connectors
from isthmus.access.listing import Wish
from isthmus.access.revocations import Revocation
from isthmus.access.watching import Watched, watched
from isthmus.arm import paging
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope, Window
from isthmus.engine import Engine
from isthmus.identity.names import names_of
from isthmus.providers.bodies import Body, read
from isthmus.providers.history import VERSIONS
from isthmus.store.tables import access_grants, access_revocations, access_sessions

GRANTS, SESSIONS, REVOCATIONS = "Isthmus.Access/grants", "Isthmus.Access/sessions", "Isthmus.Access/revocations"
_TENANT = frozenset({Scope.TENANT})
_IN_LOWER_CASE = ("person", "mapping")
_LONGEST = 2048
_GIVEN_BACK, _ENDED = "Given back.", "Ended by an administrator."

Rows = Callable[[Connection, Wish, int, int], tuple[list[Mapping[str, Any]], str]]
Wanted = Callable[[Wish, int], list[ColumnElement[bool]]]


class Ending(Body):
    """Body of `end` of a grant. Without a reason it is said who ended it: whose it is, or somebody else."""

    reason: Annotated[str, Field(min_length=1, max_length=250)] | None = None


@dataclass(frozen=True, kw_only=True)
class HeldTypes:
    """The rows about what people hold and were taken."""

    engine: Engine

    def rows(self) -> tuple[ResourceType, ...]:
        """Grants, sessions, revocations."""
        return self._grants(), self._sessions(), self._revocations()

    def _grants(self) -> ResourceType:
        def one(ask: Ask) -> Mapping[str, Any] | None:
            with self.engine.store.read() as connection:
                found = grants.find(connection, ask.id.name)
            if not ask.permits(f"{GRANTS}/read", "/") and (found is None or found.person != ask.actor.id.lower()):
                what = "A grant is shown to whose it is, and to readers of the tenant ('/')."
                raise ArmError("AuthorizationFailed", what, status=403, target=str(ask.id))
            return None if found is None else show_grant(found, self.engine.now())

        def page(connection: Connection, wish: Wish, now: int, size: int) -> tuple[list[Mapping[str, Any]], str]:
            rows, after = listing.ranged(connection, access_grants, listing.grants_of(wish, now), after=wish.after, limit=size)
            return [show_grant(grants.of_row(row), now) for row in rows], after

        listed = _own(GRANTS, self._window(access_grants, page, listing.grants_of, ("active", "expired", "ended")))
        end = Action(name="end", act=self._end, needs_resource=False, is_open=True)
        return ResourceType(
            name=GRANTS, scopes=_TENANT, versions=VERSIONS, window=listed, read=one, is_open=True, opens_each=True, actions=(end,)
        )

    def _sessions(self) -> ResourceType:
        def one(ask: Ask) -> Mapping[str, Any] | None:
            with self.engine.store.read() as connection:
                found = grants.find_session(connection, ask.id.name)
                known = watched(connection, [found] if found else [])
            if not ask.permits(f"{SESSIONS}/read", "/") and (found is None or found.person != ask.actor.id.lower()):
                what = "A session is shown to whose it is, and to readers of the tenant ('/')."
                raise ArmError("AuthorizationFailed", what, status=403, target=str(ask.id))
            return None if found is None else _session(found, known[found.id], self.engine.now())

        def page(connection: Connection, wish: Wish, now: int, size: int) -> tuple[list[Mapping[str, Any]], str]:
            rows, after = listing.ranged(connection, access_sessions, listing.sessions_of(wish, now), after=wish.after, limit=size)
            known = watched(connection, rows)
            return [_session(row, known[row.id], now) for row in rows], after

        listed = _own(SESSIONS, self._window(access_sessions, page, listing.sessions_of, ("live", "revoked", "ended")))
        return ResourceType(name=SESSIONS, scopes=_TENANT, versions=VERSIONS, window=listed, read=one, is_open=True, opens_each=True)

    def _revocations(self) -> ResourceType:
        def one(ask: Ask) -> Mapping[str, Any] | None:
            with self.engine.store.read() as connection:
                found, direct = revocations.find(connection, ask.id.name), trusted_connectors(connection, self.engine.now())
                names = names_of(connection, [found.person] if found else [])
            return None if found is None else show_revocation(found, direct, names.get(found.person))

        def wanted(wish: Wish, _now: int) -> list[ColumnElement[bool]]:
            return listing.revocations_of(wish)

        def page(connection: Connection, wish: Wish, now: int, size: int) -> tuple[list[Mapping[str, Any]], str]:
            rows, after = listing.ranged(connection, access_revocations, wanted(wish, now), after=wish.after, limit=size)
            direct = trusted_connectors(connection, self.engine.now())
            names = names_of(connection, {row.person for row in rows})
            return [show_revocation(one, direct, names.get(one.person)) for one in revocations.with_denials(connection, rows)], after

        listed = self._window(access_revocations, page, wanted, ("pending", "denied"))
        return ResourceType(name=REVOCATIONS, scopes=_TENANT, versions=VERSIONS, window=listed, read=one)

    def _window(self, table: Table, rows: Rows, wanted: Wanted, states: Collection[str]) -> Callable[[Ask], Window]:
        def listed(ask: Ask) -> Window:
            wish, size, counts = wish_of(ask.query, states), paging.page_size(ask.query), paging.wants_count(ask.query)
            now = self.engine.now()
            with self.engine.store.read() as connection:
                items, after = rows(connection, wish, now, size)
                number = listing.count(connection, table, wanted(replace(wish, after=""), now)) if counts else None
            return Window(items=items, count=number, after=after)

        return listed

    def _end(self, _resource: Resource | None, ask: Ask) -> Answer:
        """Who may change the tenant ends any grant; everybody ends their own."""
        asked = read(Ending, ask.body or {})
        may = ask.permits(f"{GRANTS}/end/action", "/")
        with self.engine.store.begin() as connection:
            found = grants.find(connection, ask.id.name)
            if not may and (found is None or found.person != ask.actor.id.lower()):
                what = "Owners and contributors of the tenant ('/') end grants, and everybody their own. This one is not yours."
                raise ArmError("AuthorizationFailed", what, status=403, target=str(ask.id))
            if found is None:
                raise ArmError("GrantNotFound", f"There is no grant '{ask.id.name[:64]}'.", status=404, target=str(ask.id))
            reason = asked.reason or (_GIVEN_BACK if found.person == ask.actor.id.lower() else _ENDED)
            detail = {"grant": found.id, "reason": reason}
            self.engine.apply_within(connection, Change(detail=detail), ask.actor, f"{GRANTS}/end", str(ask.id))
            is_over = found.state(self.engine.now()) != "Active"
            made = revocations.end_grants(connection, self.engine, [found], ask.actor, reason)
        return Answer(body={"revocations": list(made), "reason": reason, "wasOver": is_over, "isOwn": found.person == ask.actor.id.lower()})


def _own(type: str, listed: Callable[[Ask], Window]) -> Callable[[Ask], Window]:
    """The list for readers of the tenant; for others, of what is theirs: they name themselves as the person."""

    def window(ask: Ask) -> Window:
        if ask.query.get("person", "").lower() != ask.actor.id.lower() and not ask.permits(f"{type}/read", "/"):
            what = "Readers of the tenant ('/') list everybody's; others their own: name yourself as the person."
            raise ArmError("AuthorizationFailed", what, status=403, target=f"/providers/{type}")
        return listed(ask)

    return window


def wish_of(query: Mapping[str, str], states: Collection[str]) -> Wish:
    """What a query asks for. ArmError 400 `InvalidState`, `InvalidSkipToken`, `InvalidFilter`."""
    state, after = query.get("state", "").lower(), paging.key_of(query)
    if state and state not in states:
        raise invalid(f"state must be one of {', '.join(states)}, not '{state[:32]}'.", target="state", code="InvalidState")
    if after and not listing.is_place(after):
        raise invalid("The $skiptoken is not one of this list. Start it again.", target="$skiptoken", code="InvalidSkipToken")
    given = {name: query[name] for name in ("person", "mapping", "account", "grant", "use") if query.get(name)}
    for name, value in given.items():
        if len(value) > _LONGEST or not value.isprintable():
            raise invalid(f"The {name} that is asked for is none.", target=name, code="InvalidFilter")
    lowered = {name: value.lower() if name in _IN_LOWER_CASE else value for name, value in given.items()}
    return Wish(**lowered, state=state, after=after)


def show_grant(grant: grants.Grant, now: int) -> dict[str, Any]:
    """A grant as the API shows it."""
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


def _session(found: Row[Any], known: Watched, now: int) -> dict[str, Any]:
    row = found._mapping
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
            "personName": known.name,
            "signIn": row["sign_in"],
            "accountId": row["account"],
            "roleArn": row["role_arn"],
            "use": row["use"],
            "state": state,
            "issuedAt": instant(row["issued_at"]),
            "leaseUntil": instant(row["lease_until"]),
            "signedInFrom": known.signed_in_from or None,
            "usedFrom": known.used_from or None,
            "lastCallAt": instant(known.last_call) if known.last_call is not None else None,
            "shells": known.shells,
        },
    }


def show_revocation(found: Revocation, direct: Collection[str], name: str | None = None) -> dict[str, Any]:
    """A revocation, and the person's name, as the API shows them. `isDirect` accounts trust a directory: what it begins anew, only it can
    stop."""
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
            "personName": name,
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
