"""Every row of every product table, from one connection to another, in batches, and what must be true afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, String, Table, func, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from isthmus.arm.errors import ArmError, conflict
from isthmus.audit import verify
from isthmus.store import dialect
from isthmus.store.tables import metadata

Tell = Callable[[str], None]
_BATCH = 1000


def copy_rows(source: Connection, target: Connection, tell: Tell) -> dict[str, int]:
    """Copy all tables into empty ones; rows per table. Nothing is committed here.

    Raises ArmError `RowDoesNotFit` for what the target cannot hold, `CopyDiffers` when something is missing afterwards.
    """
    counts = {table.name: _copy_table(table, source, target, tell) for table in metadata.sorted_tables}
    arrived = count_rows(target)
    if arrived != counts:
        names = ", ".join(name for name, count in counts.items() if arrived[name] != count)
        raise ArmError("CopyDiffers", f"Not every row arrived in {names}. Nothing was kept; try again.", status=500)
    tell("Checking the audit chain")
    if verify(target) != verify(source):
        raise ArmError("CopyDiffers", "The audit chain of the copy is not that of the source. Nothing was kept; try again.", status=500)
    return counts


def count_rows(connection: Connection) -> dict[str, int]:
    """Rows per table."""
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables}


def require_empty(connection: Connection, name: str) -> None:
    """ArmError 409 `TargetNotEmpty` when a product table holds a row; tables that are not there yet are empty."""
    present = set(inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in present and connection.execute(select(*table.primary_key.columns).limit(1)).first() is not None:
            raise conflict(
                f"The database {name} is not empty: the table '{table.name}' has rows. Nothing was changed. Name an empty database.",
                target=name,
                code="TargetNotEmpty",
            )


def _copy_table(table: Table, source: Connection, target: Connection, tell: Tell) -> int:
    limits = {column.name: column.type.length for column in table.columns if isinstance(column.type, String)}
    total = source.execute(select(func.count()).select_from(table)).scalar_one()
    done = 0
    tell(f"Copying {table.name}: {total} rows")
    rows = source.execute(select(table).execution_options(yield_per=_BATCH)).mappings()
    for batch in rows.partitions():
        if not dialect.is_sqlite(target):
            _require_fit(table, batch, limits)
        try:
            target.execute(insert(table), [dict(row) for row in batch])
        except DBAPIError as error:
            if dialect.is_outage(error):
                raise
            reason = str(error.orig).partition("\n")[0]
            raise ArmError("RowDoesNotFit", f"The target refuses rows of '{table.name}': {reason}. Nothing was kept.") from error
        done += len(batch)
        tell(f"Copying {table.name}: {done} of {total} rows")
    return done


def _require_fit(table: Table, batch: Sequence[RowMapping], limits: Mapping[str, int | None]) -> None:
    """SQLite holds texts of any length and with any character; PostgreSQL does not, and its own error does not name the row."""
    for row in batch:
        for name, limit in limits.items():
            value: Any = row[name]
            if value is not None and ((limit is not None and len(value) > limit) or "\0" in value):
                key = ", ".join(str(row[column.name])[:200] for column in table.primary_key.columns)
                problem = "holds a NUL character" if "\0" in value else f"is longer than {limit} characters"
                raise ArmError("RowDoesNotFit", f"'{name}' of '{key}' in '{table.name}' {problem}, which the target cannot hold.")
