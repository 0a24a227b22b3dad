"""What was done in the accounts: events of their trails joined to people, and the checkpoints that prove them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from isthmus.store.tables.grammar import exact, metadata


def _partial(name: str, first: str, *columns: str) -> Index:
    """An index of the rows in which its first column is told."""
    told = text(f'"{first}" IS NOT NULL')
    return Index(name, first, *columns, sqlite_where=told, postgresql_where=told)


_OF_OTHERS = "\"foreign\" <> 'OurOwn'"

trail_events = Table(
    "trail_events",
    metadata,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False, comment="order of ingestion, from 1"
    ),
    Column("id", exact(64), nullable=False, comment="CloudTrail's event id"),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("source", String(128), nullable=False, comment="service, as sts.amazonaws.com"),
    Column("name", String(128), nullable=False, comment="operation"),
    Column("kind", String(32), nullable=False, comment="type of the caller"),
    Column("access_key", exact(128), comment="key of the caller; null where it had none"),
    Column("principal", exact(512), nullable=False),
    Column("source_identity", exact(64), nullable=False),
    Column("began_at", BigInteger, nullable=False, comment="when the caller's session was created; 0 when it is not told"),
    Column("made", exact(128), comment="key of the session that this event made"),
    Column("outcome", String(128), nullable=False, comment="error code; empty when it succeeded"),
    Column("read_only", Boolean, nullable=False),
    Column("resources", Text, nullable=False, comment="JSON: names of what it was about"),
    Column("person", String(64), comment="object id; null when it is not a person's of ours"),
    Column("sign_in", String(64)),
    Column("grant", String(64)),
    Column("session", exact(128), comment="key of the session of ours at the root of the caller's"),
    Column("foreign", String(32), nullable=False, comment="why it is nobody's of ours; empty when it is"),
    Column("loose", exact(512), comment="principal of a caller with a source identity whose key nothing explains"),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the event as canonical JSON"),
    Column("document", LargeBinary, nullable=False, comment="the event, compressed"),
    # Ids are random: told apart by time first, new ones stand beside each other in the index, whatever its size.
    Index("trail_events_by_id", "at", "id", "account", unique=True),
    # Isthmus itself calls more than all people: without its calls the timeline of everybody is short enough to be read.
    Index("trail_events_of_others", "at", "seq", sqlite_where=text(_OF_OTHERS), postgresql_where=text(_OF_OTHERS)),
    _partial("trail_events_by_person", "person", "at", "seq"),
    _partial("trail_events_by_grant", "grant", "at", "seq"),
    _partial("trail_events_by_session", "session", "at", "seq"),
    _partial("trail_events_by_key", "access_key", "at", "seq"),
    _partial("trail_events_by_made", "made"),
    _partial("trail_events_loose", "loose", "began_at"),
    Index(
        "trail_events_unexplained",
        "source_identity",
        "at",
        sqlite_where=text("loose IS NOT NULL"),
        postgresql_where=text("loose IS NOT NULL"),
    ),
)

trail_use = Table(
    "trail_use",
    metadata,
    Column("grant", String(64), primary_key=True),
    Column("source", String(128), primary_key=True, comment="service, as sts.amazonaws.com"),
    Column("name", String(128), primary_key=True, comment="operation"),
    Column("last_at", BigInteger, nullable=False, comment="the latest event that was not denied"),
    comment="What was called under each grant; it follows from the events.",
)

trail_machines = Table(
    "trail_machines",
    metadata,
    Column("machine", exact(32), primary_key=True, comment="instance id that an event names"),
    Column("at", BigInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True, comment="the event"),
    Index("trail_machines_by_event", "seq"),
)

trail_sessions = Table(
    "trail_sessions",
    metadata,
    Column("id", exact(128), primary_key=True, comment="access key of the session"),
    Column("account", String(12), primary_key=True, comment="whose trail tells of it"),
    Column("event", exact(64), nullable=False, comment="id of the event that made it"),
    Column("home", String(12), comment="account in which it acts; null when it is not known to act elsewhere"),
    Column("principal", exact(512), nullable=False, comment="role id and session name"),
    Column("began_at", BigInteger, nullable=False),
    Column("source_identity", exact(64), nullable=False),
    Column("is_root", Boolean, nullable=False, comment="whether a token made it, and no other session"),
    Column("person", String(64)),
    Column("sign_in", String(64)),
    Column("grant", String(64)),
    Column("session", exact(128), comment="key of the session at its root"),
    Column("foreign", String(32), nullable=False),
    Index("trail_sessions_by_principal", "principal", "began_at"),
    comment="Sessions as the trails tell of them; those that we gave are in access_sessions too.",
)

trail_marks = Table(
    "trail_marks",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("until", BigInteger, nullable=False, comment="everything up to here was read, as far as the cloud told it by then"),
    Column("read_at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False, comment="why it could not be read the last time; empty when it could"),
)

trail_files = Table(
    "trail_files",
    metadata,
    Column("bucket", exact(64), primary_key=True),
    Column("key", exact(1024), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("day", String(10), nullable=False, comment="2026-01-31, as the key says"),
    Column("sha256", String(64), nullable=False, comment="of the file as it lies there; empty when it was not read"),
    Column("events", Integer, nullable=False),
    Column("state", String(16), nullable=False, comment="Taken, Refused or Missing"),
    Column("digest", exact(1024), nullable=False, comment="key of the digest file that names it; empty until one does"),
    Column("detail", Text, nullable=False, comment="what is wrong with it; empty when nothing is"),
    Column("at", BigInteger, nullable=False, comment="when it was read or missed"),
    Index("trail_files_by_day", "account", "region", "day"),
    Index("trail_files_by_state", "state", "at"),
    comment="Log and digest files of trails, as far as they were read from their bucket.",
)

sign_in_logs = Table(
    "sign_in_logs",
    metadata,
    Column("id", exact(128), primary_key=True, comment="id of the record at the directory"),
    Column("object_id", String(64), nullable=False),
    Column("sign_in", String(64), comment="our sign-in by that very token; null when only the session is the same"),
    Column("session_id", exact(256), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("conditional_access", String(64), nullable=False),
    Column("requirement", String(64), nullable=False, comment="singleFactorAuthentication or multiFactorAuthentication"),
    Column("correlation", String(64), nullable=False),
    Column("document", Text, nullable=False, comment="JSON: device, place, contexts, client"),
    Index("sign_in_logs_by_sign_in", "sign_in"),
    Index("sign_in_logs_by_person", "object_id", "at"),
    comment="What the directory itself logged about our sign-ins and about their sessions.",
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("tree", String(16), primary_key=True, comment="audit or trail"),
    Column("size", BigInteger, primary_key=True, comment="how many leaves it covers"),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False, comment="the signed text: tree, size, root, time, checkpoint before it"),
    Column("kid", String(128), nullable=False),
    Column("public_jwk", Text, nullable=False),
    Column("signature", Text, nullable=False, comment="base64url"),
    Column("edge", Text, nullable=False, comment="JSON: hashes of the whole subtrees, to go on from"),
    Column("anchored_at", BigInteger, comment="when the second store had it"),
    comment="Signed roots of the Merkle trees over the audit chain and over the trail.",
)
