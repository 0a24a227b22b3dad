"""Trails of the accounts, joined to people; what the directory logged of sign-ins; checkpoints that prove both chains."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _index_told(name: str, table: str, first: str, *columns: str) -> None:
    """An index of the rows in which its first column is told."""
    told = sa.text(f'"{first}" IS NOT NULL')
    op.create_index(name, table, [first, *columns], sqlite_where=told, postgresql_where=told)


def upgrade() -> None:
    """Create the tables."""
    _trail_events()
    _trail_machines()
    _trail_sessions()
    _trail_marks()
    _sign_in_logs()
    _audit_checkpoints()


def _trail_events() -> None:
    op.create_table(
        "trail_events",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
            comment="order of ingestion, from 1",
        ),
        sa.Column("id", _exact(64), nullable=False, unique=True, comment="CloudTrail's event id"),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String(128), nullable=False, comment="service, as sts.amazonaws.com"),
        sa.Column("name", sa.String(128), nullable=False, comment="operation"),
        sa.Column("kind", sa.String(32), nullable=False, comment="type of the caller"),
        sa.Column("access_key", _exact(128), comment="key of the caller; null where it had none"),
        sa.Column("principal", _exact(512), nullable=False),
        sa.Column("source_identity", _exact(64), nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False, comment="when the caller's session was created; 0 when it is not told"),
        sa.Column("made", _exact(128), comment="key of the session that this event made"),
        sa.Column("outcome", sa.String(128), nullable=False, comment="error code; empty when it succeeded"),
        sa.Column("read_only", sa.Boolean, nullable=False),
        sa.Column("resources", sa.Text, nullable=False, comment="JSON: names of what it was about"),
        sa.Column("person", sa.String(64), comment="object id; null when it is not a person's of ours"),
        sa.Column("sign_in", sa.String(64)),
        sa.Column("grant", sa.String(64)),
        sa.Column("session", _exact(128), comment="key of the session of ours at the root of the caller's"),
        sa.Column("foreign", sa.String(32), nullable=False, comment="why it is nobody's of ours; empty when it is"),
        sa.Column("loose", _exact(512), comment="principal of a caller with a source identity whose key nothing explains"),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the event as canonical JSON"),
        sa.Column("document", sa.LargeBinary, nullable=False, comment="the event, compressed"),
    )
    op.create_index("trail_events_by_time", "trail_events", ["at", "seq"])
    _index_told("trail_events_by_person", "trail_events", "person", "at", "seq")
    _index_told("trail_events_by_grant", "trail_events", "grant", "at", "seq")
    _index_told("trail_events_by_session", "trail_events", "session", "at", "seq")
    _index_told("trail_events_by_key", "trail_events", "access_key", "at", "seq")
    _index_told("trail_events_by_made", "trail_events", "made")
    _index_told("trail_events_loose", "trail_events", "loose", "began_at")


def _trail_machines() -> None:
    op.create_table(
        "trail_machines",
        sa.Column("machine", _exact(32), primary_key=True, comment="instance id that an event names"),
        sa.Column("at", sa.BigInteger, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, comment="the event"),
    )


def _trail_sessions() -> None:
    op.create_table(
        "trail_sessions",
        sa.Column("id", _exact(128), primary_key=True, comment="access key of the session"),
        sa.Column("event", _exact(64), nullable=False, comment="id of the event that made it"),
        sa.Column("principal", _exact(512), nullable=False, comment="role id and session name"),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("source_identity", _exact(64), nullable=False),
        sa.Column("is_root", sa.Boolean, nullable=False, comment="whether a token made it, and no other session"),
        sa.Column("person", sa.String(64)),
        sa.Column("sign_in", sa.String(64)),
        sa.Column("grant", sa.String(64)),
        sa.Column("session", _exact(128), comment="key of the session at its root"),
        sa.Column("foreign", sa.String(32), nullable=False),
        comment="Sessions as the trails tell of them; those that we gave are in access_sessions too.",
    )
    op.create_index("trail_sessions_by_principal", "trail_sessions", ["principal", "began_at"])


def _trail_marks() -> None:
    op.create_table(
        "trail_marks",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False, comment="everything up to here was read, as far as the cloud told it by then"),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False, comment="why it could not be read the last time; empty when it could"),
    )


def _sign_in_logs() -> None:
    op.create_table(
        "sign_in_logs",
        sa.Column("id", _exact(128), primary_key=True, comment="id of the record at the directory"),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("sign_in", sa.String(64), comment="our sign-in by that very token; null when only the session is the same"),
        sa.Column("session_id", _exact(256), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("conditional_access", sa.String(64), nullable=False),
        sa.Column("requirement", sa.String(64), nullable=False, comment="singleFactorAuthentication or multiFactorAuthentication"),
        sa.Column("correlation", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False, comment="JSON: device, place, contexts, client"),
        comment="What the directory itself logged about our sign-ins and about their sessions.",
    )
    op.create_index("sign_in_logs_by_sign_in", "sign_in_logs", ["sign_in"])
    op.create_index("sign_in_logs_by_person", "sign_in_logs", ["object_id", "at"])


def _audit_checkpoints() -> None:
    op.create_table(
        "audit_checkpoints",
        sa.Column("tree", sa.String(16), primary_key=True, comment="audit or trail"),
        sa.Column("size", sa.BigInteger, primary_key=True, comment="how many leaves it covers"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False, comment="the signed text: tree, size, root, time, checkpoint before it"),
        sa.Column("kid", sa.String(128), nullable=False),
        sa.Column("public_jwk", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False, comment="base64url"),
        sa.Column("edge", sa.Text, nullable=False, comment="JSON: hashes of the whole subtrees, to go on from"),
        sa.Column("anchored_at", sa.BigInteger, comment="when the second store had it"),
        comment="Signed roots of the Merkle trees over the audit chain and over the trail.",
    )
