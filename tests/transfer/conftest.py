"""Databases with rows in every table, and what tells whether all of them arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, String, Table, insert, select

from isthmus.audit import Record, append
from isthmus.keys import KeyRing, LocalAuthority, operator_signer
from isthmus.settings import Settings
from isthmus.store import Store
from isthmus.store.tables import audit_records, metadata
from tests.support.clock import Clock

ROWS = 3
PASSPHRASE = "four words nobody guesses"


def fill(store: Store) -> None:
    """Some rows in every table, empty ones among the values that may be, signs beyond ASCII among the texts, and a chain."""
    with store.begin() as connection:
        for table in metadata.sorted_tables:
            if table is not audit_records:
                connection.execute(insert(table), [_row(table, turn) for turn in range(ROWS)])
        records = [
            Record(at=turn, actor="zoë", action="a/b", target="/x", outcome="accepted", detail={"n": turn}) for turn in range(1, 2501)
        ]
        append(connection, records)


def _row(table: Table, turn: int) -> dict[str, Any]:
    return {column.name: _value(column, turn) for column in table.columns}


def _value(column: Column[Any], turn: int) -> Any:
    if column.nullable and turn == 1:
        return None
    if isinstance(column.type, Boolean):
        return turn % 2 == 0
    if isinstance(column.type, Integer):
        return turn + 1
    if isinstance(column.type, LargeBinary):
        return bytes([0, 255, turn])
    assert isinstance(column.type, String), column
    return f"{column.name[:4]}-ü{turn}"[: column.type.length or 99]


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in the order of their keys."""
    with store.read() as connection:
        return {table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr) for table in metadata.sorted_tables}


@pytest.fixture
def filled(store: Store) -> Store:
    """A database of either kind with rows everywhere."""
    fill(store)
    return store


@pytest.fixture(scope="session")
def first_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete key folder."""
    keys = tmp_path_factory.mktemp("first") / "keys"
    for purpose in ("api", "aws"):
        KeyRing(keys, purpose, clock=Clock())
    LocalAuthority(keys, clock=Clock()).server_file()
    operator_signer(keys)
    return keys


def settings(data: Path, url: str = "", keys: Path | None = None) -> Settings:
    """Settings that name nothing but these."""
    return Settings(data=data, database_url=url, keys_folder=keys)


def ignore(_text: str) -> None:
    """Nobody looks."""
