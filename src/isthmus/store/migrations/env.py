"""Alembic's entry point: the connection comes from `Store.migrate`, the schema from `tables`."""

from alembic import context

from isthmus.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
