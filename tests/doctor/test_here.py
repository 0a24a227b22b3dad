"""What lies here: data folder, keys, certificates, database, port. Each check, well and not."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from isthmus.doctor import Finding, Result, database, folder, secrets, server
from isthmus.doctor.probes import Reply, Silence
from isthmus.keys import KeyRing, LocalAuthority
from isthmus.store import DatabaseState
from tests.doctor.conftest import NOW, URL, World, answer

Look = Callable[[Callable[..., Any]], dict[str, list[Finding]]]
OK, WARNING, FAILED, NOT_CHECKED = Result.OK, Result.WARNING, Result.FAILED, Result.NOT_CHECKED
DAY = 86_400


@pytest.mark.parametrize(
    ("mode", "result"), [(0o700, OK), (0o750, WARNING), (0o755, WARNING), (0o770, FAILED), (0o702, FAILED)], ids=lambda one: str(one)
)
def test_the_folder_is_its_owners_alone(world: World, look: Look, mode: int, result: Result) -> None:
    world.patient()
    world.data.chmod(mode)
    (found,) = look(folder.examine)["data folder"]
    assert (found.result, "chmod 700" in found.remedy) == (result, result is not OK)


def test_a_folder_of_somebody_else_or_a_file_is_refused(world: World, look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    (found,) = look(folder.examine)["data folder"]
    assert (found.result, "you are 4242" in found.detail) == (FAILED, True)
    world.data, world.is_serving = tmp_path / "file", False
    world.data.touch()
    monkeypatch.undo()
    world.probes = {"can_lock": lambda _folder: True}
    assert look(folder.examine)["data folder"][0].result is FAILED


@pytest.mark.parametrize(("free", "result"), [(50 * 10**9, OK), (5 * 10**8, WARNING), (5 * 10**7, FAILED)])
def test_free_space(world: World, look: Look, free: int, result: Result) -> None:
    world.probes = {"free_bytes": lambda _folder: free}
    assert look(folder.examine)["free space"][0].result is result


@pytest.mark.parametrize(
    ("kind", "locks", "url", "result"),
    [
        ("ext4", True, "", OK),
        ("", True, "", OK),
        ("ext4", False, "", FAILED),
        ("nfs4", True, "", FAILED),
        ("fuse.sshfs", True, "", FAILED),
        ("cifs", True, "postgresql://host/isthmus", WARNING),
    ],
)
def test_the_file_system_must_lock(world: World, look: Look, kind: str, locks: bool, url: str, result: Result) -> None:
    world.probes = {"file_system": lambda _folder: kind, "can_lock": lambda _folder: locks}
    world.settings = {"database_url": url}
    assert look(folder.examine)["file system"][0].result is result


def test_key_files_of_which_others_could_read_are_named(world: World, look: Look) -> None:
    assert look(secrets.examine)["key files"][0].result is OK
    (world.data / "keys" / "ca.key.pem").chmod(0o640)
    (world.data / "keys" / "api").chmod(0o755)
    (world.data / "keys" / "link.pem").symlink_to("ca.pem")
    found = look(secrets.examine)["key files"]
    assert [one.result for one in found] == [FAILED] * 3
    assert ["chmod 700" in found[0].remedy, "chmod 600" in found[1].remedy, "link" in found[2].detail] == [True] * 3


def ring(world: World, purpose: str = "aws") -> tuple[Path, dict[str, Any]]:
    file = world.data / "keys" / purpose / "ring.json"
    return file, json.loads(file.read_text())


def test_a_key_that_is_another_than_the_published_one_is_found(world: World, look: Look) -> None:
    assert look(secrets.examine)["signing keys"][0].result is OK
    file, rows = ring(world)
    current, following = (file.parent / f"{row['kid']}.pem" for row in rows["keys"][:2])
    following.write_bytes(current.read_bytes())
    (found,) = look(secrets.examine)["signing keys"]
    assert (found.result, "another key" in found.detail, "backup" in found.remedy) == (FAILED, True, True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file, rows: file.write_text("{"), "names 0 current keys"),
        (lambda file, rows: file.write_text(json.dumps({"keys": rows["keys"][1:]})), "names 0 current keys"),
        (lambda file, rows: (file.parent / f"{rows['keys'][0]['kid']}.pem").unlink(), "cannot be read"),
        (lambda file, rows: (file.parent / f"{rows['keys'][0]['kid']}.pem").write_text("no key"), "cannot be read"),
    ],
)
def test_a_broken_ring_is_found(world: World, look: Look, spoil: Callable[[Path, dict[str, Any]], Any], said: str) -> None:
    spoil(*ring(world))
    found = look(secrets.examine)["signing keys"]
    assert (found[0].result, said in found[0].detail) == (FAILED, True)


def test_what_the_next_start_makes_is_a_warning(world: World, look: Look) -> None:
    file, _ = ring(world)
    file.unlink()
    (world.data / "keys" / "operator.pem").unlink()
    found = look(secrets.examine)["signing keys"]
    assert [one.result for one in found] == [WARNING, WARNING]


def test_an_operators_key_that_is_none_is_found(world: World, look: Look) -> None:
    (world.data / "keys" / "operator.pem").write_text("nothing")
    assert look(secrets.examine)["signing keys"][0].result is FAILED


@pytest.mark.parametrize(("days", "result"), [(0, OK), (380, WARNING), (500, FAILED)])
def test_the_server_certificate_ends_some_day(world: World, look: Look, days: int, result: Result) -> None:
    world.probes = {"clock": lambda: NOW + days * DAY}
    (found,) = look(secrets.examine)["server certificate"]
    assert (found.result, "Restart" in found.remedy) == (result, result is not OK)


def test_certificates_fit_their_keys_and_each_other(world: World, look: Look, tmp_path: Path) -> None:
    found = look(secrets.examine)
    assert [found[check][0].result for check in ("local CA", "server certificate")] == [OK, OK]
    other = tmp_path / "other"
    LocalAuthority(other, clock=time.time)
    keys = world.data / "keys"
    for name in ("ca.pem",):
        (keys / name).write_bytes((other / name).read_bytes())
    found = look(secrets.examine)
    assert [found[check][0].result for check in ("local CA", "server certificate")] == [FAILED, FAILED]
    (keys / "ca.pem").write_text("nothing")
    (keys / "server.pem").unlink()
    found = look(secrets.examine)
    assert [found[check][0].result for check in ("local CA", "server certificate")] == [FAILED, WARNING]


def test_an_old_authority_is_told_by_its_date(world: World, look: Look) -> None:
    world.probes = {"clock": lambda: NOW + 3640 * DAY}
    assert look(secrets.examine)["local CA"][0].result is WARNING
    world.probes = {"clock": lambda: NOW + 3660 * DAY}
    (found,) = look(secrets.examine)["local CA"]
    assert (found.result, f"{datetime.fromtimestamp(NOW + 3650 * DAY, UTC).year}" in found.detail) == (FAILED, True)


def test_keys_are_looked_at_while_they_rotate(world: World, look: Look) -> None:
    made = KeyRing(world.data / "keys", "aws", clock=lambda: NOW + 90 * DAY)
    made.rotate()
    assert look(secrets.examine)["signing keys"][0].result is OK


@pytest.mark.parametrize(("days", "result"), [(0, OK), (94.9, OK), (96.5, WARNING)])
def test_a_key_that_signs_for_too_long_is_told_with_what_to_do(world: World, look: Look, days: float, result: Result) -> None:
    world.probes = {"clock": lambda: NOW + days * DAY}
    (found,) = look(secrets.examine)["key age"]
    assert (found.result, "isthmus issuer drill" in found.remedy) == (result, result is WARNING)
    assert ("'aws' for 96 days" in found.detail) is (result is WARNING)


def test_when_the_next_rotation_is_due_is_told_of_the_oldest_key(world: World, look: Look) -> None:
    file, rows = ring(world, "api")
    rows["keys"][0]["createdAt"] -= int(30.5 * DAY * 1000)
    file.write_text(json.dumps(rows))
    (found,) = look(secrets.examine)["key age"]
    assert f"due on {datetime.fromtimestamp(rows['keys'][0]['createdAt'] / 1000 + 90 * DAY, UTC):%Y-%m-%d}" in found.detail
    assert "30 days" in found.detail


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "result"),
    [
        ("update alembic_version set version_num = '0001'", WARNING),
        ("update alembic_version set version_num = '9999'", FAILED),
        ("drop table alembic_version", WARNING),
    ],
)
def test_the_schema_is_this_programs(world: World, look: Look, statement: str, result: Result) -> None:
    assert look(database.examine)["database schema"][0].result is OK
    change(world.data / "isthmus.db", statement)
    assert look(database.examine)["database schema"][0].result is result


def test_a_damaged_database_is_found(world: World, look: Look) -> None:
    file = world.data / "isthmus.db"
    assert look(database.examine)["database integrity"][0].result is OK
    with file.open("r+b") as spoilt:
        spoilt.seek(5 * 4096)
        spoilt.write(b"\xff" * 3 * 4096)
    assert look(database.examine)["database integrity"][0].result is FAILED
    file.write_bytes(b"this is no database at all, but long enough to be looked at" * 100)
    found = look(database.examine)
    assert (found["database"][0].result, found["database integrity"][0].result) == (FAILED, NOT_CHECKED)


def test_somebody_who_writes_and_another_journal_are_warnings(world: World, look: Look) -> None:
    file = world.data / "isthmus.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("begin immediate")
        assert look(database.examine)["database writes"][0].result is WARNING
    change(file, "pragma journal_mode=delete")
    assert look(database.examine)["database integrity"][0].result is WARNING


def test_a_database_that_does_not_answer_fails_without_its_password(world: World, look: Look) -> None:
    world.settings = {"database_url": "postgresql://me:hunter2@127.0.0.1:9/isthmus"}
    found = look(database.examine)
    (reach,) = found["database"]
    assert (reach.result, "127.0.0.1:9" in reach.detail, "hunter2" in reach.detail) == (FAILED, True, False)
    assert found["database schema"][0].result is NOT_CHECKED
    for url in ("mysql://host/db", "nonsense"):
        world.settings = {"database_url": url}
        assert look(database.examine)["database"][0].result is FAILED


@pytest.mark.parametrize(
    ("state", "check", "result"),
    [
        ({"server": "PostgreSQL 12.4"}, "database", WARNING),
        ({"server": "PostgreSQL 16.2"}, "database", OK),
        ({"obstacle": "it is read-only"}, "database writes", FAILED),
        ({"damage": None, "journal": "wal"}, "database integrity", NOT_CHECKED),
        ({}, "database integrity", NOT_CHECKED),
    ],
)
def test_other_states_of_a_database(look: Look, monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], check: str, result: Result) -> None:
    usual = {"name": "x", "server": "PostgreSQL 16", "revision": "2", "expected": "2", "is_older": False}
    monkeypatch.setattr(database, "inspect", lambda _url: DatabaseState(**{**usual, **state}))
    assert look(database.examine)[check][0].result is result


def ports(world: World, look: Look) -> Finding:
    return look(lambda patient: server.examine(patient, server.ask(patient)))["port"][0]


@pytest.mark.parametrize(
    ("problem", "result"), [(0, OK), (errno.EADDRINUSE, WARNING), (errno.EACCES, FAILED), (errno.EADDRNOTAVAIL, FAILED)]
)
def test_the_port_is_free_or_ours(world: World, look: Look, problem: int, result: Result) -> None:
    world.probes = {"bind": lambda _host, _port: problem}
    assert ports(world, look).result is OK
    (world.data / "server.json").unlink()
    world.is_serving = False
    assert ports(world, look).result is result
    world.settings = {"port": 0}
    assert ports(world, look).result is OK


@pytest.mark.parametrize(
    ("said", "result", "detail"),
    [
        (answer({"status": "ready"}), OK, "ready"),
        (answer({"status": "not ready", "database": "locked", "jobs": "ready"}, status=503), FAILED, "database: locked"),
        (answer("[]", status=502), FAILED, "answered 502"),
        (answer("<html>", status=502), FAILED, "answered 502"),
        (Silence(why="certificate", detail="self-signed"), FAILED, "not trusted"),
        (Silence(why="connection", detail="refused"), FAILED, "does not answer"),
    ],
)
def test_the_server_answers(world: World, look: Look, said: Reply | Silence, result: Result, detail: str) -> None:
    world.answers[f"{URL}/readyz"] = said
    (found,) = look(lambda patient: server.examine(patient, server.ask(patient)))["server"]
    assert (found.result, detail in found.detail, bool(found.remedy)) == (result, True, result is not OK)
    assert world.asked == [(f"{URL}/readyz", (world.data / "keys" / "ca.pem",))]


def test_a_server_that_ended_without_a_word_is_told(world: World, look: Look) -> None:
    world.answers[f"{URL}/readyz"] = Silence(why="connection", detail="refused")
    world.probes = {"is_running": lambda _process: False}
    (found,) = look(lambda patient: server.examine(patient, server.ask(patient)))["server"]
    assert (found.result, "4711" in found.detail) == (FAILED, True)


def test_a_server_of_another_version_is_told(world: World, look: Look) -> None:
    def examine(patient: Any) -> Any:
        file = world.data / "server.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "version": version}))
        return server.examine(patient, server.ask(patient))

    for version, result in (("0.0.9", WARNING), ("", NOT_CHECKED)):  # noqa: B007 - `examine` writes it
        assert look(examine)["version"][0].result is result
