"""What the directory logged of sign-ins, joined to ours: by the very token, else by the session, and the person in both cases.

Source: Microsoft Graph, `signIn` resource (uniqueTokenIdentifier is the token's `uti`, sessionId its `sid`, userId its `oid`). Records that
name neither a token nor a session of ours are somebody else's business and are not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, tuple_

from isthmus.store import dialect
from isthmus.store.tables import sign_in_logs, sign_ins

_KEPT: Final = (
    "appDisplayName",
    "authenticationContextClassReferences",
    "clientAppUsed",
    "clientCredentialType",
    "crossTenantAccessType",
    "deviceDetail",
    "federatedCredentialId",
    "isInteractive",
    "location",
    "riskLevelDuringSignIn",
    "signInEventTypes",
    "status",
)
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST = 16_384
_CHUNK = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """What came of records: by the very token, by the session alone, not ours, and such as are none."""

    by_token: int = 0
    by_session: int = 0
    foreign: int = 0
    unreadable: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    id: str
    person: str
    token: str
    session: str
    row: Mapping[str, Any]


def ingest_sign_ins(connection: Connection, records: Iterable[object]) -> Matched:
    """Keep what is about our sign-ins, in the caller's transaction; the same record again replaces itself."""
    given = list(records)
    found = [record for one in given if (record := _read(one)) is not None]
    tokens = _known(connection, "token_id", {(one.person, one.token) for one in found if one.token})
    sessions = _known(connection, "session_id", {(one.person, one.session) for one in found if one.session})
    rows: dict[str, dict[str, Any]] = {}
    counts = {"by_token": 0, "by_session": 0, "foreign": 0}
    for one in found:
        sign_in = tokens.get((one.person, one.token)) if one.token else None
        is_session = bool(one.session) and (one.person, one.session) in sessions
        counts["by_token" if sign_in else "by_session" if is_session else "foreign"] += 1
        if sign_in or is_session:
            rows[one.id] = {**one.row, "sign_in": sign_in}
    dialect.upsert(connection, sign_in_logs, list(rows.values()))
    return Matched(**counts, unreadable=len(given) - len(found))


def _known(connection: Connection, column: str, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Our sign-ins by person and token or session."""
    table, found = sign_ins.c, dict[tuple[str, str], str]()
    ordered = sorted(pairs)
    for start in range(0, len(ordered), _CHUNK):
        chosen = tuple_(table.object_id, table[column]).in_(ordered[start : start + _CHUNK])
        for row in connection.execute(select(table.object_id, table[column].label("value"), table.id).where(chosen).order_by(table.at)):
            found[row.object_id, row.value] = row.id
    return found


def _read(record: object) -> _Record | None:
    if not isinstance(record, dict):
        return None
    id, person, at = _text(record, "id", 128), _text(record, "userId", 64).lower(), _instant(record.get("createdDateTime"))
    if not id or not person or at is None:
        return None
    kept = json.dumps({name: record[name] for name in _KEPT if record.get(name) not in (None, "", [])}, sort_keys=True)
    session = _text(record, "sessionId", 256)
    row = {
        "id": id,
        "object_id": person,
        "session_id": session,
        "at": at,
        "address": _text(record, "ipAddress", 64),
        "conditional_access": _text(record, "conditionalAccessStatus", 64),
        "requirement": _text(record, "authenticationRequirement", 64),
        "correlation": _text(record, "correlationId", 64),
        "document": kept if len(kept) <= _LONGEST else "{}",
    }
    return _Record(id=id, person=person, token=_text(record, "uniqueTokenIdentifier", 256), session=session, row=row)


def _text(record: Mapping[str, Any], name: str, longest: int) -> str:
    found = record.get(name)
    return _CONTROL.sub("", found)[:longest] if isinstance(found, str) else ""


def _instant(value: object) -> int | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return round(moment.timestamp() * 1000) if moment is not None and moment.tzinfo is not None else None


def of_sign_ins(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """The directory's own record of each of these sign-ins, by sign-in."""
    wanted = select(sign_in_logs).where(sign_in_logs.c.sign_in.in_(ids)).order_by(sign_in_logs.c.id)
    return {row.sign_in: row for row in connection.execute(wanted)}
