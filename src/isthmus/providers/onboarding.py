"""Isthmus.Onboarding: the instances of every connector in a subscription, with their onboarding and their machines, and their number."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping

from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.ids import parse_resource, stored
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.engine import Engine
from isthmus.providers.history import VERSIONS
from isthmus.solutions.onboard import listing, rows
from isthmus.solutions.onboard.codes import CODES
from isthmus.solutions.onboard.listing import Wanted
from isthmus.solutions.onboard.report import properties_of
from isthmus.solutions.onboard.statuses import STATUSES, by_word, status_of

INSTANCES = "Isthmus.Onboarding/instances"
COUNTS = "Isthmus.Onboarding/counts"
ASSURANCE = "ssm"
"""How well an enrolled machine is proven to be its instance: its key came through Systems Manager, and it signed with it."""
_HERE = frozenset({Scope.SUBSCRIPTION})
_LONGEST = 256


def table(engine: Engine) -> tuple[ResourceType, ...]:
    """The rows of this namespace."""
    return (_instances(engine), _counts(engine))


def _instances(engine: Engine) -> ResourceType:
    def listed(ask: Ask) -> Window:
        wanted = _wanted(ask)
        order, descends = paging.order_of(ask.query, tuple(listing.ORDERS), default="id")
        skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
        with engine.store.read() as connection:
            found = listing.page(connection, wanted, order=order, descends=descends, skip=skip, top=top + 1)
            number = listing.count(connection, wanted) if paging.wants_count(ask.query) else None
        return Window(items=[_show(row, ask.id.subscription) for row in found[:top]], count=number, more=len(found) > top)

    def one(ask: Ask) -> Mapping[str, Any] | None:
        parts = ask.id.name.lower().split(".")
        if len(parts) != 3:
            return None
        wanted = Wanted(subscription=ask.id.subscription, key=rows.key_of(*parts))
        with engine.store.read() as connection:
            found = listing.page(connection, wanted, order="id", descends=False, skip=0, top=1)
            return _with_events(connection, found[0], ask.id.subscription) if found else None

    return ResourceType(name=INSTANCES, scopes=_HERE, lists=_HERE, versions=VERSIONS, window=listed, read=one)


def _counts(engine: Engine) -> ResourceType:
    def read(ask: Ask) -> Mapping[str, Any]:
        now, connector = engine.now(), _connector(ask.query)
        with engine.store.read() as connection:
            found = listing.counts(connection, ask.id.subscription, connector)
        codes: dict[str, int] = {}
        for (_, code), number in found.items():
            if code:
                codes[code] = codes.get(code, 0) + number
        properties = {
            "total": sum(found.values()),
            "statuses": by_word(found),
            "codes": [
                {"code": code, "count": number, "remedy": CODES[code].general if code in CODES else ""}
                for code, number in sorted(codes.items(), key=lambda pair: (-pair[1], pair[0]))
            ],
            "asOf": instant(now),
        }
        id = f"/subscriptions/{ask.id.subscription}/providers/{COUNTS}/default"
        return {"id": id, "name": "default", "type": COUNTS, "properties": properties}

    def one(ask: Ask) -> Mapping[str, Any] | None:
        return read(ask) if ask.id.name.lower() == "default" else None

    def every(ask: Ask) -> Iterable[Mapping[str, Any]]:
        return (read(ask),)

    return ResourceType(name=COUNTS, scopes=_HERE, lists=_HERE, versions=VERSIONS, read=one, enumerate=every)


def _show(row: RowMapping, subscription: str) -> dict[str, Any]:
    found = rows.read(row)
    solution = stored(row["solution_id"])
    machine = orjson.loads(row["machine_document"])["properties"] if row["machine_document"] else {}
    name = f"{found.account}.{found.region}.{found.instance_id}"
    properties = properties_of(found, row["machine_id"] or "")
    properties |= {
        "armStatus": properties["status"],
        "status": status_of(found.state),
        "account": found.account,
        "instanceId": found.instance_id,
        "connectorId": str(solution.parent),
        "solutionId": str(solution),
        "instanceState": found.seen.state,
        "machineId": row["machine_id"],
        "displayName": machine.get("displayName") or row["aws_name"] or found.instance_id,
        "machineStatus": machine.get("status") or None,
        "osSku": machine.get("osSku") or machine.get("osName") or None,
        "agentVersion": machine.get("agentVersion") or None,
        "lastStatusChange": machine.get("lastStatusChange"),
        "lastHeartbeat": instant(row["last_heartbeat"]) if row["last_heartbeat"] else None,
        "assurance": ASSURANCE if row["enrolled_at"] else None,
    }
    id = f"/subscriptions/{subscription}/providers/{INSTANCES}/{name}"
    return {"id": id, "name": name, "type": INSTANCES, "properties": properties}


def _with_events(connection: Connection, row: RowMapping, subscription: str) -> dict[str, Any]:
    shown = _show(row, subscription)
    shown["properties"]["events"] = [_event(event, row["instance_id"]) for event in listing.events(connection, row["key"])]
    return shown


def _event(event: RowMapping, instance: str) -> dict[str, Any]:
    evidence = json.loads(event["evidence"])
    code = CODES.get(event["code"])
    return {
        "at": instant(event["at"]),
        "state": event["state"],
        "status": status_of(event["state"]),
        "code": event["code"],
        "remedy": code.sentence({"instance": instance, **evidence}) if code else "",
        "evidence": evidence,
    }


def _wanted(ask: Ask) -> Wanted:
    query = ask.query
    account = query.get("account", "")
    if account and not re.fullmatch(r"[0-9]{12}", account, re.ASCII):
        raise _refused("account", f"account must have 12 digits, not '{account[:32]}'.")
    code = query.get("code", "").upper()
    if code and code not in CODES:
        raise _refused("code", f"'{code[:64]}' is no code of onboarding.")
    return Wanted(
        subscription=ask.id.subscription,
        states=_states(query),
        code=code,
        account=account,
        region=_text(query, "region").lower(),
        connector=_connector(query),
        name=_text(query, "name"),
        changed_after=_instant(query),
    )


def _states(query: Mapping[str, str]) -> frozenset[str] | None:
    """The states that both `state` and `status` leave; None when neither is asked for."""
    chosen: frozenset[str] | None = None
    if state := query.get("state"):
        if state.upper() not in rows.STATES:
            raise _refused("state", f"state must be one of {', '.join(rows.STATES)}, not '{state[:32]}'.")
        chosen = frozenset({state.upper()})
    if status := query.get("status"):
        found = next((one for one in STATUSES if one.word.lower() == status.lower()), None)
        if found is None:
            raise _refused("status", f"status must be one of {', '.join(one.word for one in STATUSES)}, not '{status[:32]}'.")
        chosen = frozenset(found.states) if chosen is None else chosen & frozenset(found.states)
    return chosen


def _connector(query: Mapping[str, str]) -> str:
    given = query.get("connector", "")
    if not given:
        return ""
    try:
        return parse_resource(given).key
    except ArmError as error:
        raise _refused("connector", f"connector must be the full id of a connector: {error.message}") from error


def _text(query: Mapping[str, str], name: str) -> str:
    given = query.get(name, "")
    if len(given) > _LONGEST or not given.isprintable():
        raise _refused(name, f"{name} must be at most {_LONGEST} printable characters.")
    return given


def _instant(query: Mapping[str, str]) -> int | None:
    given = query.get("changedAfter")
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year <= 9000:
        raise _refused("changedAfter", f"changedAfter must be an instant with its offset (2026-11-01T08:00:00Z), not '{given[:40]}'.")
    return int(found.timestamp() * 1000)


def _refused(target: str, message: str) -> ArmError:
    return invalid(message, target=target, code="InvalidFilter")
