"""The timeline of everybody leaves out what Isthmus itself called, so that its index does; the whole of it is read by time and id."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Put an index of what others called in the place of the one of everything."""
    told = sa.text("\"foreign\" <> 'OurOwn'")
    op.create_index("trail_events_of_others", "trail_events", ["at", "seq"], sqlite_where=told, postgresql_where=told)
    op.drop_index("trail_events_by_time", "trail_events")
