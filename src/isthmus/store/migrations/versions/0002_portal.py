"""What the portal needs: sessions and people, an index over projections with what they refer to, and the history of resources."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


_ORDERS = {
    "type": ["type", "account", "region", "name", "resource_group"],
    "region": ["region", "account", "type", "name", "resource_group"],
    "account": ["account", "region", "type", "name", "resource_group"],
    "name": ["name", "type", "account", "region", "resource_group"],
    "change": ["changed_at"],
}


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _people()
    _projections()
    _resource_changes()
    _resource_references()
    _sessions()
    _overview()


def _overview() -> None:
    """What is asked of all connectors at once."""
    action = sa.Column(
        "action", sa.String(128), nullable=False, server_default="", comment="IAM action that was missing; empty when none was"
    )
    op.add_column("scopes", action)
    op.create_index("scopes_by_outcome", "scopes", ["outcome", "solution"])
    op.create_index("scopes_frozen", "scopes", ["solution"], sqlite_where=sa.text("frozen = 1"), postgresql_where=sa.text("frozen"))
    op.drop_index("instances_by_solution", "instances")
    op.create_index("instances_by_solution", "instances", ["solution", "state", "code"])
    op.create_index("instances_by_change", "instances", ["since"])
    under_way = sa.text("ended_at IS NULL")
    op.create_index("operations_under_way", "operations", ["subscription"], sqlite_where=under_way, postgresql_where=under_way)


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("issuer", _exact(512), nullable=False),
        sa.Column("subject", _exact(255), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("mail", sa.String(320), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object_id"),
        sa.UniqueConstraint("issuer", "subject"),
        comment="Who has signed in through an OpenID provider.",
    )


def _projections() -> None:
    op.create_table(
        "projections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("key", _exact(2048), nullable=False, comment="key of the projection in resources"),
        sa.Column("subscription", sa.String(64), nullable=False),
        sa.Column("resource_group", sa.String(128), nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False, comment="where the resource lies; empty for global ones"),
        sa.Column("type", _exact(128), nullable=False, comment="type below Microsoft.AwsConnector, as the catalog spells it"),
        sa.Column("name", _exact(512), nullable=False, comment="what people call it in AWS"),
        sa.Column("aws_id", _exact(1024), nullable=False, comment="ARN, or the last part of it where other resources name that"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False, comment="lower case: name and ARN, a line each; what a search looks at"),
        sa.Column("tags", sa.Text(), nullable=False, comment="lower case: tags of AWS and our own, a line each"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
        comment="Index over the projections in resources: narrow rows to list, count and search.",
    )
    for name, columns in _ORDERS.items():
        op.create_index(f"projections_by_{name}", "projections", ["subscription", *columns, "id"])
    op.create_index("projections_by_aws_id", "projections", ["account", "aws_id"])


def _resource_changes() -> None:
    op.create_table(
        "resource_changes",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("resource", _exact(2048), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False, comment="Create, Update or Delete"),
        sa.Column("changes", sa.Text(), nullable=False, comment="JSON: path to what it was and is"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_resource_changes_at"), "resource_changes", ["at"])
    op.create_index("resource_changes_by_resource", "resource_changes", ["resource", "at"])


def _resource_references() -> None:
    op.create_table(
        "resource_references",
        sa.Column("resource", sa.BigInteger(), nullable=False, autoincrement=False, comment="id of the projection"),
        sa.Column("target", _exact(1024), nullable=False, comment="AWS id or ARN that its properties name"),
        sa.PrimaryKeyConstraint("resource", "target"),
        sqlite_with_rowid=False,
    )
    op.create_index("resource_references_by_target", "resource_references", ["target", "resource"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of what the browser holds"),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("provider", sa.String(512), nullable=False, comment="issuer that signed the person in; empty for sign-in links"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        comment="Signed-in browsers.",
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_index(op.f("ix_sessions_object_id"), "sessions", ["object_id"])
