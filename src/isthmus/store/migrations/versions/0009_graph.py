"""How far changes of Microsoft Graph were read, and what it promised to tell."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "graph_marks",
        sa.Column("name", _exact(64), primary_key=True, comment="what is read: users, groups:…, nested, sign-ins:…"),
        sa.Column("covers", sa.Text, nullable=False, comment="JSON: ids of groups"),
        sa.Column("link", sa.Text, nullable=False, comment="where to go on from, as Graph gave it"),
        sa.Column("until", sa.BigInteger, nullable=False, comment="for records with a time: everything up to here was read"),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False, comment="why it could not be read the last time; empty when it could"),
    )
    op.create_table(
        "graph_subscriptions",
        sa.Column("id", sa.String(64), primary_key=True, comment="made here"),
        sa.Column("remote", sa.String(64), comment="Graph's id; null until it has answered"),
        sa.Column("resource", _exact(256), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False, comment="SHA-256 of the clientState by which its notifications are known"),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("graph_subscriptions_by_resource", "graph_subscriptions", ["resource"])
