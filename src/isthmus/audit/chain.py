"""The chain: each record's hash covers its content and the hash before it, so that a change or a removal shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, desc, insert, select

from isthmus.store import dialect
from isthmus.store.tables import audit_records

GENESIS = "0" * 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One decision. `outcome` is `accepted` or `refused`; `detail` holds facts, never secrets or documents. `at` in epoch milliseconds."""

    at: int
    actor: str
    action: str
    target: str
    outcome: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    correlation: str = ""

    def digest(self, seq: int, previous: str) -> str:
        """SHA-256 (hex) over the record's canonical JSON and the previous hash."""
        content = [seq, self.at, self.actor, self.action, self.target, self.outcome, self.detail, self.correlation, previous]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def append(connection: Connection, records: Sequence[Record]) -> None:
    """Add records in the caller's transaction; writers of the chain take turns."""
    dialect.lock_name(connection, "audit")
    last = connection.execute(select(audit_records.c.seq, audit_records.c.hash).order_by(desc(audit_records.c.seq)).limit(1)).first()
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    rows = []
    for record in records:
        seq += 1
        digest = record.digest(seq, previous)
        rows.append(
            {
                "seq": seq,
                "at": record.at,
                "actor": record.actor,
                "action": record.action,
                "target": record.target,
                "outcome": record.outcome,
                "detail": json.dumps(record.detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
                "correlation": record.correlation,
                "previous": previous,
                "hash": digest,
            }
        )
        previous = digest
    if rows:
        connection.execute(insert(audit_records), rows)


def verify(connection: Connection) -> int | None:
    """Walk the whole chain; the number of the first record that does not fit, or None when every one does."""
    expected, previous = 1, GENESIS
    for row in connection.execute(select(audit_records).order_by(audit_records.c.seq)):
        if not fits(row, expected, previous):
            return expected
        expected, previous = expected + 1, row.hash
    return None


def fits(row: Row[Any], seq: int, previous: str) -> bool:
    """Whether a stored record is the one that was appended as `seq` after the hash `previous`."""
    try:
        detail = json.loads(row.detail)
        record = Record(
            at=row.at,
            actor=row.actor,
            action=row.action,
            target=row.target,
            outcome=row.outcome,
            detail=detail,
            correlation=row.correlation,
        )
        is_as_written = row.detail == json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return bool(is_as_written and (row.seq, row.previous, row.hash) == (seq, previous, record.digest(seq, previous)))
    except (ValueError, TypeError):
        return False
