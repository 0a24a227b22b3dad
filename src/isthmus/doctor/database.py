"""The database: does it answer, is it whole, is it of this program's version, can it be written to."""

from __future__ import annotations

from collections.abc import Iterator

from isthmus.arm.errors import ArmError
from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import ELSEWHERE, Patient
from isthmus.store import DatabaseState, inspect

REACH, SCHEMA, WRITES, WHOLE = "database", "database schema", "database writes", "database integrity"
_OLDEST_POSTGRESQL = 14


def examine(patient: Patient) -> Iterator[Finding]:
    """The URL is never printed: it may hold a password."""
    rest = (SCHEMA, WRITES, WHOLE)
    if patient.is_elsewhere:
        yield from (unchecked(check, ELSEWHERE) for check in (REACH, *rest))
        return
    try:
        state = inspect(patient.settings.database)
    except ArmError as error:
        yield failed(REACH, error.message, "Check ISTHMUS_DATABASE_URL, that the database runs, and that its user may sign in.")
        yield from (unchecked(check, "The database does not answer.") for check in rest)
        return
    if state is None:
        yield from (unchecked(check, "There is no database yet: the first start of the server makes it.") for check in (REACH, *rest))
        return
    yield _reached(state)
    yield _schema(state)
    yield _writes(state)
    yield _whole(state)


def _reached(state: DatabaseState) -> Finding:
    kind, _, version = state.server.partition(" ")
    major = version.partition(".")[0]
    if kind == "PostgreSQL" and major.isdigit() and int(major) < _OLDEST_POSTGRESQL:
        remedy = f"Upgrade it to PostgreSQL {_OLDEST_POSTGRESQL} or later."
        return warning(REACH, f"{state.name}: version {version} is no longer maintained by its makers.", remedy)
    return ok(REACH, f"{state.name}, {state.server}")


def _schema(state: DatabaseState) -> Finding:
    if state.revision == state.expected:
        return ok(SCHEMA, f"revision {state.revision}")
    if not state.revision:
        return warning(SCHEMA, "It has no tables yet.", "Start the server: it makes them.")
    if state.is_older:
        remedy = "Make a backup, then restart the server: it brings the tables up to date."
        return warning(SCHEMA, f"It has revision {state.revision}, this program expects {state.expected}.", remedy)
    remedy = "Run the version of Isthmus that last used it, or restore a backup of this version."
    return failed(SCHEMA, f"It has revision {state.revision}, which this program does not know (it expects {state.expected}).", remedy)


def _writes(state: DatabaseState) -> Finding:
    if state.obstacle == "database is locked":
        remedy = "Look again in a moment; if it stays so, find who holds a transaction open."
        return warning(WRITES, "Somebody else was writing just now.", remedy)
    if state.obstacle:
        return failed(WRITES, f"It cannot be written to: {state.obstacle}.", "Give the server's user the right to write, and make room.")
    return ok(WRITES, "possible")


def _whole(state: DatabaseState) -> Finding:
    if not state.journal:
        return unchecked(WHOLE, "PostgreSQL looks after itself.")
    if state.damage is None:
        return unchecked(WHOLE, "The check took too long and was ended.", "Run it when there is time: sqlite3 FILE 'pragma quick_check'.")
    if state.damage:
        remedy = "Stop the server, keep a copy of the file, and restore the last good backup."
        return failed(WHOLE, f"It is damaged: {'; '.join(state.damage)}", remedy)
    if state.journal != "wal":
        return warning(WHOLE, f"It is whole, but its journal is '{state.journal}' instead of WAL.", "Start the server: it turns WAL on.")
    return ok(WHOLE, "whole, journal in WAL")
