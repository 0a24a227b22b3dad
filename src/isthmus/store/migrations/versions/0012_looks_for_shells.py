"""When shells of somebody who is denied were last looked for in an account."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column. What was denied before is looked at once more."""
    op.add_column("access_denials", sa.Column("looked_at", sa.BigInteger, comment="when shells were last looked for"))
