"""Events are told apart by time and id, so that new ones stand together in the index; ranges of time over grants, sessions and sign-ins."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Replace the unique id, add the indexes."""
    if op.get_bind().dialect.name == "sqlite":
        named = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
        with op.batch_alter_table("trail_events", recreate="always", naming_convention=named) as table:
            table.drop_constraint("uq_trail_events_id", type_="unique")
    else:
        op.drop_constraint("trail_events_id_key", "trail_events", type_="unique")
    op.create_index("trail_events_by_id", "trail_events", ["at", "id"], unique=True)
    op.create_index("trail_machines_by_event", "trail_machines", ["seq"])
    op.create_index("access_grants_by_time", "access_grants", ["began_at", "id"])
    op.create_index("access_sessions_by_time", "access_sessions", ["issued_at", "id"])
    op.create_index("sign_ins_by_time", "sign_ins", ["at", "id"])
