"""Events are told apart by time and id, so that new ones stand together in the index; what was used under each grant; files of trails."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_USED = """
insert into trail_use ("grant", source, name, last_at)
select "grant", source, name, max(at) from trail_events
where "grant" is not null and outcome not like '%Denied%' and outcome not like '%Unauthorized%' and outcome not like '%NotAuthorized%'
and outcome not like '%AuthorizationError%' group by "grant", source, name
"""


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Replace the unique id, add indexes and tables."""
    _tell_events_apart()
    op.create_index("trail_machines_by_event", "trail_machines", ["seq"])
    op.create_index("access_grants_by_time", "access_grants", ["began_at", "id"])
    op.create_index("access_sessions_by_time", "access_sessions", ["issued_at", "id"])
    op.create_index("sign_ins_by_time", "sign_ins", ["at", "id"])
    comment = "whether its policy allows less than the role"
    op.add_column("access_sessions", sa.Column("is_narrowed", sa.Boolean, nullable=False, server_default=sa.false(), comment=comment))
    _trail_use()
    _trail_files()


def _tell_events_apart() -> None:
    if op.get_bind().dialect.name == "sqlite":
        named = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
        with op.batch_alter_table("trail_events", recreate="always", naming_convention=named) as table:
            table.drop_constraint("uq_trail_events_id", type_="unique")
    else:
        op.drop_constraint("trail_events_id_key", "trail_events", type_="unique")
    op.create_index("trail_events_by_id", "trail_events", ["at", "id"], unique=True)
    loose = sa.text("loose IS NOT NULL")
    op.create_index("trail_events_unexplained", "trail_events", ["source_identity", "at"], sqlite_where=loose, postgresql_where=loose)


def _trail_use() -> None:
    op.create_table(
        "trail_use",
        sa.Column("grant", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(128), primary_key=True, comment="service, as sts.amazonaws.com"),
        sa.Column("name", sa.String(128), primary_key=True, comment="operation"),
        sa.Column("last_at", sa.BigInteger, nullable=False, comment="the latest event that was not denied"),
        comment="What was called under each grant; it follows from the events.",
    )
    op.get_bind().exec_driver_sql(_USED.replace("%", "%%") if op.get_bind().dialect.name == "postgresql" else _USED)


def _trail_files() -> None:
    op.create_table(
        "trail_files",
        sa.Column("bucket", _exact(64), primary_key=True),
        sa.Column("key", _exact(1024), primary_key=True),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("day", sa.String(10), nullable=False, comment="2026-01-31, as the key says"),
        sa.Column("sha256", sa.String(64), nullable=False, comment="of the file as it lies there; empty when it was not read"),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="Taken, Refused or Missing"),
        sa.Column("digest", _exact(1024), nullable=False, comment="key of the digest file that names it; empty until one does"),
        sa.Column("detail", sa.Text, nullable=False, comment="what is wrong with it; empty when nothing is"),
        sa.Column("at", sa.BigInteger, nullable=False, comment="when it was read or missed"),
        comment="Log and digest files of trails, as far as they were read from their bucket.",
    )
    op.create_index("trail_files_by_day", "trail_files", ["account", "region", "day"])
    op.create_index("trail_files_by_state", "trail_files", ["state", "at"])
