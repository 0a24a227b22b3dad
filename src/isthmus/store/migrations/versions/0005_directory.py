"""The directory that another one provisions: users, groups, members."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _users()
    _groups()
    _members()


def _users() -> None:
    op.create_table(
        "directory_users",
        sa.Column("id", sa.String(64), primary_key=True, comment="SCIM id, made here"),
        sa.Column("object_id", sa.String(64), nullable=False, unique=True, comment="externalId where that is a GUID, else the SCIM id"),
        sa.Column("user_name", _exact(512), nullable=False, unique=True, comment="as it is compared: NFC, lower case"),
        sa.Column("external_id", _exact(512)),
        sa.Column("work_mail", _exact(512), comment="as it is compared; * for several, which are looked for in the document"),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False, comment="JSON: the resource without id and meta"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("directory_users_by_external_id", "directory_users", ["external_id"])
    op.create_index("directory_users_by_work_mail", "directory_users", ["work_mail"])


def _groups() -> None:
    op.create_table(
        "directory_groups",
        sa.Column("id", sa.String(64), primary_key=True, comment="SCIM id, made here"),
        sa.Column("object_id", sa.String(64), nullable=False, unique=True, comment="externalId where that is a GUID, else the SCIM id"),
        sa.Column("display_name", _exact(512), nullable=False, unique=True, comment="as it is compared: NFC, lower case"),
        sa.Column("external_id", _exact(512)),
        sa.Column("document", sa.Text, nullable=False, comment="JSON: the resource without id, meta and members"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("directory_groups_by_external_id", "directory_groups", ["external_id"])


def _members() -> None:
    op.create_table(
        "directory_members",
        sa.Column("group_id", sa.String(64), primary_key=True, comment="SCIM id of the group"),
        sa.Column("member_id", sa.String(64), primary_key=True, comment="SCIM id of the user or group that is in it"),
        sa.Column("kind", sa.String(8), nullable=False, comment="User or Group"),
    )
    op.create_index("directory_members_by_member", "directory_members", ["member_id", "group_id"])
