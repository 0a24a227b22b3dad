"""Lists of what people hold, newest first: pages go on by key, so that none of them sorts the whole table."""

from alembic import op

revision = "0008"
down_revision = "0007"

_TIMES = {"access_requests": "asked_at", "access_revocations": "at"}


def upgrade() -> None:
    """Create the indexes."""
    for table, time in _TIMES.items():
        op.create_index(f"{table}_by_time", table, [time, "id"])
    op.create_index("access_sessions_by_account", "access_sessions", ["account", "issued_at"])
