"""What was looked at, and when to look again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, text

from isthmus.store.tables.grammar import exact, metadata

scans = Table(
    "scans",
    metadata,
    Column("id", exact(160), primary_key=True, comment="deterministic: solution and slot"),
    Column("solution", String(2048), nullable=False, index=True),
    Column("account", String(12), nullable=False),
    Column("status", String(32), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("summary", Text, nullable=False),
)

scopes = Table(
    "scopes",
    metadata,
    Column("solution", exact(1024), primary_key=True),
    Column("account", exact(12), primary_key=True),
    Column("region", exact(32), primary_key=True),
    Column("type", exact(128), primary_key=True),
    Column("scan", String(160), nullable=False, comment="the scan that wrote this row last"),
    Column("outcome", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("complete_at", BigInteger, comment="last time the cell was listed to its end"),
    Column("vanished", Text, nullable=False, comment="JSON keys that the cell listed no more, until they are deleted"),
    Column("frozen", Boolean, nullable=False, comment="deletions are withheld because too much vanished at once"),
    Column("action", String(128), nullable=False, server_default="", comment="IAM action that was missing; empty when none was"),
    Index("scopes_by_outcome", "outcome", "solution"),
    Index("scopes_frozen", "solution", sqlite_where=text("frozen = 1"), postgresql_where=text("frozen")),
)

ordered_syncs = Table(
    "ordered_syncs",
    metadata,
    Column("solution", exact(2048), primary_key=True),
    Column("job", String(160), nullable=False, comment="the job that the timetable ordered last for it"),
    comment="What the timetable has ordered, so that one slot is one order.",
)
