"""What is remembered of Microsoft Graph: how far its changes were read, and what it promised to tell."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from isthmus.store.tables.grammar import exact, metadata

graph_marks = Table(
    "graph_marks",
    metadata,
    Column("name", exact(64), primary_key=True, comment="what is read: users, groups:…, nested, sign-ins:…"),
    Column("covers", Text, nullable=False, comment="JSON: ids of groups"),
    Column("link", Text, nullable=False, comment="where to go on from, as Graph gave it"),
    Column("until", BigInteger, nullable=False, comment="for records with a time: everything up to here was read"),
    Column("read_at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False, comment="why it could not be read the last time; empty when it could"),
)

graph_subscriptions = Table(
    "graph_subscriptions",
    metadata,
    Column("id", String(64), primary_key=True, comment="made here"),
    Column("remote", String(64), comment="Graph's id; null until it has answered"),
    Column("resource", exact(256), nullable=False),
    Column("secret_hash", String(64), nullable=False, comment="SHA-256 of the clientState by which its notifications are known"),
    Column("expires_at", BigInteger, nullable=False),
    Index("graph_subscriptions_by_resource", "resource"),
)
