"""The first schema. Frozen: a later change of `tables` is a migration of its own, and a test compares the two."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    _audit_records()
    _challenges()
    _client_secrets()
    _clients()
    _federated_credentials()
    _installation()
    _instance_events()
    _instances()
    _operations()
    _ordered_syncs()
    _registrations()
    _resource_tags()
    _resources()
    _scans()
    _scopes()
    _sign_in_links()
    _signing_keys()
    _used_assertions()
    _windows()


def _audit_records() -> None:
    op.create_table(
        "audit_records",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("action", sa.String(length=256), nullable=False),
        sa.Column("target", sa.String(length=2048), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("correlation", sa.String(length=64), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_by_target", "audit_records", ["target"], unique=False)


def _challenges() -> None:
    op.create_table(
        "challenges",
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of the nonce"),
        sa.Column("vm_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(op.f("ix_challenges_expires_at"), "challenges", ["expires_at"], unique=False)
    op.create_index(op.f("ix_challenges_vm_id"), "challenges", ["vm_id"], unique=False)


def _client_secrets() -> None:
    op.create_table(
        "client_secrets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=64), nullable=False),
        sa.Column("hint", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_client_secrets_client_id"), "client_secrets", ["client_id"], unique=False)


def _clients() -> None:
    op.create_table(
        "clients",
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("object_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True, comment="PEM, for private_key_jwt"),
        sa.PrimaryKeyConstraint("client_id"),
        sa.UniqueConstraint("object_id"),
    )


def _federated_credentials() -> None:
    op.create_table(
        "federated_credentials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("issuer", sa.String(length=512), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("audience", sa.String(length=512), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=True, comment="keys of the issuer, when it is not to be fetched"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("client_id", "issuer", "subject"),
    )
    op.create_index(op.f("ix_federated_credentials_client_id"), "federated_credentials", ["client_id"], unique=False)


def _installation() -> None:
    op.create_table(
        "installation",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="Facts minted at first start: tenant id, default subscription.",
    )


def _instance_events() -> None:
    op.create_table(
        "instance_events",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("instance_key", sa.String(length=256), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_instance_events_at"), "instance_events", ["at"], unique=False)
    op.create_index(op.f("ix_instance_events_instance_key"), "instance_events", ["instance_key"], unique=False)


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("key", sa.String(length=256), nullable=False, comment="account/region/instance id"),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("instance_id", sa.String(length=32), nullable=False),
        sa.Column("solution", sa.String(length=2048), nullable=False, comment="key of the solution configuration that works on it"),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("launch_time", sa.String(length=40), nullable=False),
        sa.Column("batch", sa.String(length=64), nullable=False, comment="the command that it waits for, by our name; empty when none"),
        sa.Column("command_id", sa.String(length=64), nullable=False, comment="the same by the cloud's name; empty until it is known"),
        sa.Column("sends", sa.Integer(), nullable=False, comment="commands that were meant for it so far"),
        sa.Column(
            "machine",
            sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"),
            nullable=False,
            comment="key of the machine resource",
        ),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="when state and code became what they are"),
        sa.Column("next_at", sa.BigInteger(), nullable=False, comment="when to look again"),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="when the cloud was last asked about it"),
        sa.Column("observed", sa.Text(), nullable=False, comment="what the cloud said of it, as JSON"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("instances_by_machine", "instances", ["machine"], unique=False)
    op.create_index("instances_by_place", "instances", ["solution", "region", "next_at"], unique=False)
    op.create_index("instances_by_solution", "instances", ["solution", "state"], unique=False)


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=160).with_variant(sa.String(length=160, collation="C"), "postgresql"), nullable=False),
        sa.Column("resource", sa.String(length=2048), nullable=False, comment="id the operation is about"),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("percent", sa.Integer(), nullable=True),
        sa.Column("location", sa.String(length=64), nullable=False),
        sa.Column("subscription", sa.String(length=64), nullable=False),
        sa.Column("result", sa.Text(), nullable=True, comment="properties of the finished operation"),
        sa.Column("error", sa.Text(), nullable=True, comment="error body of a failed one"),
        sa.Column("caller", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("operations_by_resource", "operations", ["resource"], unique=False)
    op.create_index("operations_by_time", "operations", ["started_at"], unique=False)


def _ordered_syncs() -> None:
    op.create_table(
        "ordered_syncs",
        sa.Column("solution", sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"), nullable=False),
        sa.Column("job", sa.String(length=160), nullable=False, comment="the job that the timetable ordered last for it"),
        sa.PrimaryKeyConstraint("solution"),
        comment="What the timetable has ordered, so that one slot is one order.",
    )


def _registrations() -> None:
    op.create_table(
        "registrations",
        sa.Column("vm_id", sa.String(length=64), nullable=False, comment="also the machine's client id"),
        sa.Column(
            "resource",
            sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"),
            nullable=False,
            comment="key of the machine resource",
        ),
        sa.Column("resource_id", sa.String(length=2048), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False, comment="base64 PKCS#1"),
        sa.Column("key_hash", sa.String(length=64), nullable=False, comment="SHA-256 of the SPKI"),
        sa.Column("next_public_key", sa.Text(), nullable=True),
        sa.Column("next_key_hash", sa.String(length=64), nullable=True),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_heartbeat", sa.BigInteger(), nullable=True),
        sa.Column("silent_since", sa.BigInteger(), nullable=True, comment="set while the machine counts as Disconnected"),
        sa.Column("facts_digest", sa.String(length=64), nullable=True, comment="SHA-256 of what the machine last said of itself"),
        sa.Column(
            "window_id",
            sa.String(length=64),
            nullable=True,
            comment="the window in which the key may enrol; none for keys that users registered",
        ),
        sa.Column("state", sa.String(length=32), nullable=False, comment="pending, enrolled, expired, left, removed"),
        sa.PrimaryKeyConstraint("vm_id"),
        sa.UniqueConstraint("key_hash"),
        sa.UniqueConstraint("next_key_hash"),
        sa.UniqueConstraint("principal_id"),
        sa.UniqueConstraint("resource"),
    )
    op.create_index(op.f("ix_registrations_window_id"), "registrations", ["window_id"], unique=False)
    op.create_index("registrations_by_heartbeat", "registrations", ["state", "last_heartbeat"], unique=False)


def _resource_tags() -> None:
    op.create_table(
        "resource_tags",
        sa.Column("resource", sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"), nullable=False),
        sa.Column(
            "name",
            sa.String(length=512).with_variant(sa.String(length=512, collation="C"), "postgresql"),
            nullable=False,
            comment="lower case",
        ),
        sa.Column("value", sa.String(length=1024), nullable=False),
        sa.PrimaryKeyConstraint("resource", "name"),
    )
    op.create_index("resource_tags_by_name", "resource_tags", ["name", "value"], unique=False)


def _resources() -> None:
    op.create_table(
        "resources",
        sa.Column(
            "key",
            sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"),
            nullable=False,
            comment="lower-cased id",
        ),
        sa.Column(
            "id",
            sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"),
            nullable=False,
            comment="id in the case of its creation",
        ),
        sa.Column("type", sa.String(length=256), nullable=False, comment="lower-cased full type"),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("subscription", sa.String(length=64), nullable=False, comment="lower case; empty at tenant scope"),
        sa.Column("resource_group", sa.String(length=128), nullable=False, comment="lower case; empty outside groups"),
        sa.Column(
            "parent",
            sa.String(length=2048).with_variant(sa.String(length=2048, collation="C"), "postgresql"),
            nullable=False,
            comment="key of the parent or extended resource; empty at top level",
        ),
        sa.Column("location", sa.String(length=64), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column(
            "unique_key",
            sa.String(length=512).with_variant(sa.String(length=512, collation="C"), "postgresql"),
            nullable=True,
            comment="what must be unique in the tenant, per type",
        ),
        sa.Column(
            "source",
            sa.String(length=512).with_variant(sa.String(length=512, collation="C"), "postgresql"),
            nullable=True,
            comment="what it derives from: a projection's cell, an assignment's principal",
        ),
        sa.Column("digest", sa.String(length=64), nullable=True, comment="projections: digest of what the cloud said"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False, comment="tags, kind, identity, properties, systemData"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("unique_key"),
    )
    op.create_index("resources_by_group", "resources", ["subscription", "resource_group", "type", "key"], unique=False)
    op.create_index("resources_by_parent", "resources", ["parent", "type"], unique=False)
    op.create_index("resources_by_source", "resources", ["source"], unique=False)
    op.create_index("resources_by_type", "resources", ["type", "subscription", "key"], unique=False)


def _scans() -> None:
    op.create_table(
        "scans",
        sa.Column(
            "id",
            sa.String(length=160).with_variant(sa.String(length=160, collation="C"), "postgresql"),
            nullable=False,
            comment="deterministic: solution and slot",
        ),
        sa.Column("solution", sa.String(length=2048), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_scans_solution"), "scans", ["solution"], unique=False)


def _scopes() -> None:
    op.create_table(
        "scopes",
        sa.Column("solution", sa.String(length=1024).with_variant(sa.String(length=1024, collation="C"), "postgresql"), nullable=False),
        sa.Column("account", sa.String(length=12).with_variant(sa.String(length=12, collation="C"), "postgresql"), nullable=False),
        sa.Column("region", sa.String(length=32).with_variant(sa.String(length=32, collation="C"), "postgresql"), nullable=False),
        sa.Column("type", sa.String(length=128).with_variant(sa.String(length=128, collation="C"), "postgresql"), nullable=False),
        sa.Column("scan", sa.String(length=160), nullable=False, comment="the scan that wrote this row last"),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("complete_at", sa.BigInteger(), nullable=True, comment="last time the cell was listed to its end"),
        sa.Column("vanished", sa.Text(), nullable=False, comment="JSON keys that the cell listed no more, until they are deleted"),
        sa.Column("frozen", sa.Boolean(), nullable=False, comment="deletions are withheld because too much vanished at once"),
        sa.PrimaryKeyConstraint("solution", "account", "region", "type"),
    )


def _sign_in_links() -> None:
    op.create_table(
        "sign_in_links",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash"),
    )


def _signing_keys() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False, comment="api or aws"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="next, current, retired"),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retires_at", sa.BigInteger(), nullable=True, comment="until when verifiers keep it"),
        sa.PrimaryKeyConstraint("kid"),
    )


def _used_assertions() -> None:
    op.create_table(
        "used_assertions",
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of client and jti"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(op.f("ix_used_assertions_expires_at"), "used_assertions", ["expires_at"], unique=False)


def _windows() -> None:
    op.create_table(
        "windows",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("instance_key", sa.String(length=256), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="open, used, expired"),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("instance_key", "generation"),
    )
    op.create_index(op.f("ix_windows_instance_key"), "windows", ["instance_key"], unique=False)
    op.create_index("windows_by_end", "windows", ["state", "expires_at"], unique=False)
