"""The first schema."""

from alembic import op

from isthmus.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    metadata.create_all(op.get_bind())
