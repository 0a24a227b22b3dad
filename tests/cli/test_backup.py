"""`isthmus backup`, `restore` and `db copy` as commands: what they ask for, print and refuse."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from isthmus.app import build
from isthmus.cli.database import has_password
from isthmus.settings import Settings
from tests.cli.conftest import Cli

pytestmark = pytest.mark.e2e

PASSPHRASE = "four words nobody guesses"


@pytest.fixture
def phrase(tmp_path: Path) -> str:
    """A private file with the passphrase, and a line break as editors leave it."""
    file = tmp_path / "phrase"
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    return str(file)


def test_a_running_server_is_backed_up_and_comes_back(cli: Cli, phrase: str, tmp_path: Path) -> None:
    archive, data = tmp_path / "archive", tmp_path / "new"
    made = cli.json("backup", str(archive), "--passphrase-file", phrase)
    assert (made["keys"], made["bytes"]) == (True, archive.stat().st_size)
    again = cli("backup", str(archive), "--passphrase-file", phrase)
    assert (again.code, "FileExists" in again.err) == (1, True)
    ran = cli("restore", str(archive), "--passphrase-file", phrase, data=data)
    assert (ran.code, f"Restored {made['rows']} rows" in ran.err) == (0, True), ran.err
    assert (data / "isthmus.db").is_file()
    again = cli("restore", str(archive), "--passphrase-file", phrase, data=data)
    assert (again.code, "is not empty" in again.err) == (1, True)
    assert not any(PASSPHRASE in ran.out + ran.err for ran in cli.runs)


def test_without_keys_nothing_is_asked_and_the_consequence_is_said(cli: Cli, tmp_path: Path) -> None:
    made = cli("backup", str(tmp_path / "archive"), "--without-keys")
    assert (made.code, "The keys are not in it" in made.err) == (0, True), made.err
    came = cli("restore", str(tmp_path / "archive"), data=tmp_path / "new")
    assert (came.code, "new ones are made" in came.err) == (0, True), came.err


def test_a_passphrase_must_come_from_somewhere_private(cli: Cli, phrase: str, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    unasked = cli("backup", archive)
    assert (unasked.code, "--passphrase-file" in unasked.err) == (1, True)
    both = cli("backup", archive, "--without-keys", "--passphrase-file", phrase)
    assert (both.code, "ContradictingOptions" in both.err) == (1, True)
    Path(phrase).chmod(0o644)
    open_to_all = cli("backup", archive, "--passphrase-file", phrase)
    assert (open_to_all.code, "chmod 600" in open_to_all.err) == (1, True)
    missing = cli("backup", archive, "--passphrase-file", str(tmp_path / "none"))
    assert (missing.code, "No such file" in missing.err) == (1, True)
    nothing = cli("restore", str(tmp_path / "none"))
    assert (nothing.code, "NoArchive" in nothing.err) == (1, True)
    assert not Path(archive).exists()


def test_a_copy_is_refused_while_a_server_runs(cli: Cli, tmp_path: Path) -> None:
    ran = cli("db", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}")
    assert (ran.code, "DatabaseInUse" in ran.err) == (1, True), ran.err


def test_a_copy_names_what_it_copied(cli: Cli, tmp_path: Path) -> None:
    build(Settings(data=tmp_path / "new"), port=8443, environ={}).close()
    target = f"sqlite:///{tmp_path / 'copy.db'}"
    ran = cli("db", "copy", "-o", "json", env={"ISTHMUS_TARGET_DATABASE_URL": target}, data=tmp_path / "new")
    assert ran.code == 0, ran.err
    with closing(sqlite3.connect(tmp_path / "new" / "isthmus.db")) as source:
        (there,) = source.execute("select count(*) from installation").fetchone()
    assert json.loads(ran.out)["tables"]["installation"] == there > 0


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@h/d", "postgresql://u@h/d?password=secret", "postgresql://u@h/d?sslpassword=secret"]
)
def test_passwords_in_arguments_are_refused_and_not_repeated(cli: Cli, url: str) -> None:
    ran = cli("db", "copy", "--to", url)
    assert (ran.code, "ISTHMUS_TARGET_DATABASE_URL" in ran.err, "secret" in ran.out + ran.err) == (1, True, False)


def test_a_target_is_needed(cli: Cli) -> None:
    ran = cli("db", "copy", env={"ISTHMUS_TARGET_DATABASE_URL": ""})
    assert (ran.code, "NoTarget" in ran.err) == (1, True)
    ran = cli("db", "copy", env={"ISTHMUS_TARGET_DATABASE_URL": "postgresql://u:secret@127.0.0.1:9/d"})
    assert (ran.code, "secret" in ran.out + ran.err) == (1, False)


@pytest.mark.parametrize("url", ["postgresql://u@h/d", "sqlite:///x.db", "postgresql://u@h/d?sslmode=verify-full"])
def test_urls_without_a_password(url: str) -> None:
    assert not has_password(url)
