"""Machines, and the instances that become machines."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from isthmus.store.tables.grammar import exact, metadata

registrations = Table(
    "registrations",
    metadata,
    Column("vm_id", String(64), primary_key=True, comment="also the machine's client id"),
    Column("resource", exact(2048), nullable=False, unique=True, comment="key of the machine resource"),
    Column("resource_id", String(2048), nullable=False),
    Column("principal_id", String(64), nullable=False, unique=True),
    Column("public_key", Text, nullable=False, comment="base64 PKCS#1"),
    Column("key_hash", String(64), nullable=False, unique=True, comment="SHA-256 of the SPKI"),
    Column("next_public_key", Text),
    Column("next_key_hash", String(64), unique=True),
    Column("enrolled_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("last_heartbeat", BigInteger),
    Column("silent_since", BigInteger, comment="set while the machine counts as Disconnected"),
    Column("facts_digest", String(64), comment="SHA-256 of what the machine last said of itself"),
    Column("window_id", String(64), index=True, comment="the window in which the key may enrol; none for keys that users registered"),
    Column("state", String(32), nullable=False, comment="pending, enrolled, expired, left, removed"),
    Index("registrations_by_heartbeat", "state", "last_heartbeat"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of the nonce"),
    Column("vm_id", String(64), nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

windows = Table(
    "windows",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("instance_key", String(256), nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False, comment="open, used, expired"),
    Column("opened_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("instance_key", "generation"),
    Index("windows_by_end", "state", "expires_at"),
)

instances = Table(
    "instances",
    metadata,
    Column("key", String(256), primary_key=True, comment="account/region/instance id"),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("instance_id", String(32), nullable=False),
    Column("solution", String(2048), nullable=False, comment="key of the solution configuration that works on it"),
    Column("state", String(32), nullable=False),
    Column("code", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("launch_time", String(40), nullable=False),
    Column("batch", String(64), nullable=False, comment="the command that it waits for, by our name; empty when none"),
    Column("command_id", String(64), nullable=False, comment="the same by the cloud's name; empty until it is known"),
    Column("sends", Integer, nullable=False, comment="commands that were meant for it so far"),
    Column("machine", exact(2048), nullable=False, comment="key of the machine resource"),
    Column("since", BigInteger, nullable=False, comment="when state and code became what they are"),
    Column("next_at", BigInteger, nullable=False, comment="when to look again"),
    Column("seen_at", BigInteger, nullable=False, comment="when the cloud was last asked about it"),
    Column("observed", Text, nullable=False, comment="what the cloud said of it, as JSON"),
    Index("instances_by_solution", "solution", "state", "code"),
    Index("instances_by_place", "solution", "region", "next_at"),
    Index("instances_by_machine", "machine"),
    Index("instances_by_change", "since"),
)

instance_events = Table(
    "instance_events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("instance_key", String(256), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("state", String(32), nullable=False),
    Column("code", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
)
