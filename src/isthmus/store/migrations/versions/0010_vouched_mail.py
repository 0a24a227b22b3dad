"""The mail address that a provider vouched for at a sign-in. Nobody knows it of earlier ones: theirs is empty, and they open no shells."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    comment = "the address, where the provider vouches for it; else empty"
    op.add_column("sign_ins", sa.Column("mail", sa.String(320), nullable=False, server_default="", comment=comment))
