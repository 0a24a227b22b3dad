"""Uses of sessions name regions, and some regions have longer names than others: shell:ap-southeast-2."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Widen the column; SQLite does not mind lengths, and keeps the table as it is described elsewhere."""
    told = "credentials, console, probe, or shell:REGION"
    with op.batch_alter_table("access_sessions") as table:
        table.alter_column("use", existing_type=sa.String(16), type_=sa.String(64), existing_nullable=False, comment=told)
