"""Who made a sign-in link. Of earlier ones nobody knows, and they work no more."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "sign_in_links", sa.Column("made_by", sa.String(64), nullable=False, server_default="", comment="object id of who made it")
    )
