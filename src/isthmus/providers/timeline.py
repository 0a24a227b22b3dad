"""Isthmus.Access/timeline: who did what, from the sign-in to every call, newest first."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from isthmus.access.requests import Requests
from isthmus.access.timeline import Asked, Entry, event, is_place, page
from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import ArmError, invalid, person_not_unique
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.audit.events import UnreadableEvent
from isthmus.engine import Engine
from isthmus.providers.history import VERSIONS
from isthmus.store.tables import people

TIMELINE = "Isthmus.Access/timeline"
_NAMES = {
    "person": re.compile(r"[^\x00-\x1f]{1,320}"),
    "machine": re.compile(r"m?i-[0-9a-f]{8,17}"),
    "session": re.compile(r"[A-Z0-9]{4,128}"),
    "grant": re.compile(r"[A-Za-z0-9-]{1,64}"),
}
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_NAMED = 100
_AGO = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_MILLISECONDS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIMES = {"leaseUntil", "revokedAt", "endsAt", "endedAt"}


def row(engine: Engine, requests: Requests) -> ResourceType:
    """The type: a list with `person`, `machine`, `session` or `grant`, and `since` and `until`, in its query; calls with their event. Asked
    for none of the four, it leaves out what Isthmus itself called unless `all` is true."""

    def listed(ask: Ask) -> Window:
        size, asked = paging.page_size(ask.query), _asked(ask.query, ask.now)
        with engine.store.read() as connection:
            if asked.person:
                asked = replace(asked, person=_object_id(connection, asked.person))
            found, more = page(connection, asked, limit=size)
            names = _names(connection, {one.person for one in found if one.person})
        labels = {key: one.label for key, one in requests.mappings({_mapping(one) for one in found} - {""}).items()}
        items = [_body(one, names, labels.get(_mapping(one))) for one in found]
        return Window(items=items, after=found[-1].place if more else "")

    def one(ask: Ask) -> Mapping[str, Any] | None:
        try:
            with engine.store.read() as connection:
                found = event(connection, ask.id.name)
                names = _names(connection, {found[0].person}) if found and found[0].person else {}
        except UnreadableEvent as error:
            told = f"The event is not what was stored: {error}. Run 'isthmus audit verify'."
            raise ArmError("EventDamaged", told, status=500, target=str(ask.id)) from error
        if found is None:
            return None
        body = _body(found[0], names)
        return {**body, "properties": {**body["properties"], "document": _without_token(found[1])}}

    return ResourceType(name=TIMELINE, scopes=frozenset({Scope.TENANT}), versions=VERSIONS, window=listed, read=one)


def _without_token(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event without the session token that CloudTrail writes down where a role was assumed: it is of no use to a reader."""
    answer = document.get("responseElements")
    made = answer.get("credentials") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(made, dict) or "sessionToken" not in made:
        return document
    return {**document, "responseElements": {**answer, "credentials": {**made, "sessionToken": "(not shown)"}}}


def _asked(query: Mapping[str, str], now: int) -> Asked:
    given = {name: query[name] for name in _NAMES if query.get(name)}
    if len(given) > 1:
        raise invalid(f"Ask for one of {', '.join(sorted(given))} at a time.", target="query", code="InvalidTimeline")
    for name, value in given.items():
        if not _NAMES[name].fullmatch(value):
            raise invalid(f"'{value[:64]}' is not the id of a {name}.", target=name, code="InvalidTimeline")
    after = paging.key_of(query)
    if after and not is_place(after):
        raise invalid("The $skiptoken is not one of this list. Start it again.", target="$skiptoken", code="InvalidSkipToken")
    if (whole := query.get("all", "")) not in ("", "true", "false"):
        raise invalid(f"all is true or false, not '{whole[:64]}'.", target="all", code="InvalidTimeline")
    return Asked(**given, own=whole == "true", since=_moment(query, "since", now), until=_moment(query, "until", now), after=after)


def _object_id(connection: Connection, given: str) -> str:
    """The person of an object id, a mail address or a name. ArmError 404 `PersonNotFound`, 409 `PersonNotUnique`."""
    wanted = given.lower()
    if _OBJECT_ID.fullmatch(wanted):
        return wanted
    named = or_(func.lower(people.c.mail) == wanted, func.lower(people.c.name) == wanted)
    columns = (people.c.name, people.c.object_id, people.c.issuer)
    found = connection.execute(select(*columns).where(named).order_by(*columns[:2]).limit(_MOST_NAMED)).all()
    if not found:
        told = f"Nobody of the name '{given[:64]}' has signed in. Name a person by mail address or object id."
        raise ArmError("PersonNotFound", told, status=404, target="person")
    if len(found) > 1:
        raise person_not_unique(given, [(row.name, row.object_id, row.issuer) for row in found])
    return str(found[0].object_id)


def _moment(query: Mapping[str, str], name: str, now: int) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    if ago := _AGO.fullmatch(text):
        return max(0, now - int(ago[1]) * _MILLISECONDS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(
            f"{name} is an instant like 2026-01-31T08:00:00Z or a time ago like 30m, 8h or 7d, not '{text[:64]}'.",
            target=name,
            code="InvalidTimeline",
        )
    return max(0, int(moment.timestamp() * 1000))


def _names(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    rows = connection.execute(select(people.c.object_id, people.c.name).where(people.c.object_id.in_(ids)))
    return {row.object_id: row.name for row in rows}


def _mapping(entry: Entry) -> str:
    """The key of the mapping that the entry is about, or empty."""
    return str(entry.detail.get("mapping", "")).lower()


def _body(entry: Entry, names: Mapping[str, str], role: str | None = None) -> dict[str, Any]:
    """`role` is how people name the role; of grants and sessions alone, None once its mapping is gone."""
    detail = {name: instant(value) if name in _TIMES and value else value for name, value in entry.detail.items()}
    told = {"at": instant(entry.at), "kind": entry.kind, "personName": names.get(entry.person)}
    if _mapping(entry):
        told |= {"role": role, "account": role.partition(".")[0] if role else detail.get("account")}
    whose = {"person": entry.person, "signIn": entry.sign_in, "grant": entry.grant, "session": entry.session}
    return {
        "id": f"/providers/{TIMELINE}/{entry.id}",
        "name": entry.id,
        "type": TIMELINE,
        "properties": {**told, **{name: value or None for name, value in whose.items()}, **detail},
    }
