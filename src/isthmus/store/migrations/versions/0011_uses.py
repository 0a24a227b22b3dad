"""Uses of sessions name regions, some by longer names than others: shell:ap-southeast-2. Sessions of shells are found fast."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Widen the column; SQLite does not mind lengths, and keeps the table as it is described elsewhere."""
    told = "credentials, console, probe, or shell:REGION"
    with op.batch_alter_table("access_sessions") as table:
        table.alter_column("use", existing_type=sa.String(16), type_=sa.String(64), existing_nullable=False, comment=told)
    of_shells = sa.text("use LIKE 'shell:%'")
    op.create_index("access_sessions_of_shells", "access_sessions", ["grant"], sqlite_where=of_shells, postgresql_where=of_shells)
