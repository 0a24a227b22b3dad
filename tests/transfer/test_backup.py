"""What was backed up comes back whole, and whatever is refused changes nothing."""

from __future__ import annotations

import io
import json
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from isthmus.arm.errors import ArmError
from isthmus.audit import verify
from isthmus.keys import KeyRing
from isthmus.settings import Settings
from isthmus.store import Store
from isthmus.store.tables import audit_records, operations, scans, signing_keys
from isthmus.transfer import archive, back_up, has_keys, restore
from tests.support.clock import Clock
from tests.support.databases import Databases
from tests.support.postgres import Postgres
from tests.transfer.conftest import PASSPHRASE, contents, fill, ignore, settings

pytestmark = pytest.mark.slow


@pytest.fixture
def source(filled: Store, first_keys: Path, tmp_path: Path) -> Settings:
    """The settings of an installation on either database."""
    shutil.copytree(first_keys, tmp_path / "source" / "keys")
    return settings(tmp_path / "source", filled.url)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, first_keys: Path, databases: Databases) -> Path:
    """An archive with sealed keys."""
    folder = tmp_path_factory.mktemp("made")
    store = Store(databases.fresh_sqlite(folder / "isthmus.db"))
    fill(store)
    back_up(settings(folder / "data", store.url, first_keys), folder / "archive", PASSPHRASE, ignore)
    store.close()
    return folder / "archive"


def key_files(folder: Path) -> dict[str, bytes]:
    """What is in a key folder, without what each process makes for itself."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "server.pem")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def arrived(url: str, *, records: int) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of a restored database; its chain holds, and its last record, which is taken off, says that it was restored."""
    store = Store(url)
    found = contents(store)
    with store.read() as connection:
        assert verify(connection) is None
        last = connection.execute(select(audit_records).order_by(audit_records.c.seq.desc()).limit(1)).one()
    store.close()
    assert (last.seq, last.action, json.loads(last.detail)["records"]) == (records + 1, "installation/restore", records)
    found["audit_records"] = [row for row in found["audit_records"] if row[0] != last.seq]
    return found


def test_everything_comes_back_from_either_database(source: Settings, filled: Store, tmp_path: Path) -> None:
    file = tmp_path / "archive"
    said = back_up(source, file, PASSPHRASE, ignore)
    assert said == {"file": str(file), "bytes": file.stat().st_size, "rows": sum(map(len, contents(filled).values())), "keys": True}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name or "partial" in path.name) == []
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["manifest.json", "database.sqlite", "keys.sealed"]
    assert b"PRIVATE KEY" not in file.read_bytes()
    target = settings(tmp_path / "new" / "data")
    assert restore(target, file, PASSPHRASE, ignore)["keys"] is True
    expected = contents(filled)
    came = arrived(target.database, records=2500)
    if "postgresql" in filled.url:
        # Jobs of PostgreSQL do not come along: who waits for one is told.
        check_lost_work(target.database)
        for name in ("operations", "scans"):
            del expected[name], came[name]
    assert came == expected
    assert key_files(target.keys) == key_files(source.keys)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in target.data_folder.rglob("*")} == {0}
    old, new = (KeyRing(one.keys, "api", clock=Clock()) for one in (source, target))
    assert old.signer().kid == new.signer().kid
    assert [path.name for path in target.data_folder.iterdir()] in (["keys", "isthmus.db"], ["isthmus.db", "keys"])


def check_lost_work(url: str) -> None:
    store = Store(url)
    with store.read() as connection:
        for table in (operations, scans):
            assert None not in connection.execute(select(table.c.ended_at)).scalars().all()
        lost = connection.execute(select(operations).where(operations.c.error.like("%LostInRestore%"))).mappings().one()
    store.close()
    assert lost["status"] == "Failed"


@pytest.mark.postgresql
def test_into_postgresql(made: Path, tmp_path: Path, postgres: Postgres, databases: Databases) -> None:
    url = databases.fresh_postgresql(postgres)
    target = settings(tmp_path / "data", url)
    came = restore(target, made, PASSPHRASE, ignore)
    assert (came["keys"], ":***@" in came["database"]) == (True, True)
    rows = arrived(url, records=2500)
    assert min(map(len, rows.values())) > 0
    assert key_files(target.keys)
    with pytest.raises(ArmError, match="TargetNotEmpty"):
        restore(settings(tmp_path / "other", url), made, PASSPHRASE, ignore)
    assert not (tmp_path / "other").exists(), "keys that were written are taken back"
    databases.clear(url)


def test_a_backup_of_a_moment_while_others_write(source: Settings, filled: Store, tmp_path: Path) -> None:
    """An operation and its scan are written together; the backup holds both or neither."""
    began, stopped = threading.Event(), threading.Event()

    def write() -> None:
        turn = 0
        while not stopped.is_set():
            turn += 1
            with filled.begin() as connection:
                connection.execute(update(operations).values(kind=f"k{turn}"))
                connection.execute(update(scans).values(account=f"k{turn}"))
            began.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert began.wait(60)
        for name in ("one", "two", "three"):
            back_up(source, tmp_path / name, None, ignore)
    finally:
        stopped.set()
        writer.join()
    for name in ("one", "two", "three"):
        target = settings(tmp_path / f"restored-{name}")
        restore(target, tmp_path / name, "", ignore)
        store = Store(target.database)
        with store.read() as connection:
            kinds = set(connection.execute(select(operations.c.kind)).scalars())
            assert len(kinds) == 1
            assert kinds == set(connection.execute(select(scans.c.account)).scalars())
        store.close()


def test_without_keys_new_ones_may_be_made(source: Settings, tmp_path: Path) -> None:
    back_up(source, tmp_path / "archive", None, ignore)
    assert not has_keys(tmp_path / "archive")
    target = settings(tmp_path / "data")
    came = restore(target, tmp_path / "archive", "", ignore)
    assert (came["keys"], came["newKeys"], (tmp_path / "data" / "keys").exists()) == (False, True, False)
    store = Store(target.database)
    with store.read() as connection:
        assert connection.execute(select(signing_keys)).all() == []
    store.close()


def test_without_keys_beside_a_key_folder_that_was_kept(source: Settings, tmp_path: Path) -> None:
    back_up(source, tmp_path / "archive", None, ignore)
    target = settings(tmp_path / "data", keys=source.keys)
    assert restore(target, tmp_path / "archive", "", ignore)["newKeys"] is False
    store = Store(target.database)
    with store.read() as connection:
        assert len(connection.execute(select(signing_keys)).all()) == 3
    store.close()


def test_what_cannot_be_backed_up_leaves_no_file(source: Settings, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    cases: list[tuple[Settings, Path, str | None, str]] = [
        (source, tmp_path / "there", PASSPHRASE, "FileExists"),
        (source, tmp_path / "none" / "archive", PASSPHRASE, "NoFolder"),
        (source, tmp_path / "archive", "short", "WeakPassphrase"),
        (settings(tmp_path / "empty"), tmp_path / "archive", PASSPHRASE, "NoDatabase"),
        (settings(tmp_path / "empty", source.database_url), tmp_path / "archive", PASSPHRASE, "NoKeys"),
    ]
    before = {path.name for path in tmp_path.iterdir()}
    for given, file, passphrase, code in cases:
        with pytest.raises(ArmError) as caught:
            back_up(given, file, passphrase, ignore)
        assert caught.value.code == code
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "there").read_text() == "mine"


def unpacked(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def packed(file: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(file, "w") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)


def told(members: list[tuple[tarfile.TarInfo, bytes]], change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest."""
    entry, content = members[0]
    manifest = json.loads(content)
    change(manifest)
    text = json.dumps(manifest).encode()
    entry.size = len(text)
    members[0] = (entry, text)


def extra(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
    return entry, b"evil"


def renamed(members: list[tuple[tarfile.TarInfo, bytes]], name: str) -> None:
    """The database under another name, as the manifest says too."""
    members[1][0].name = name
    told(members, lambda manifest: manifest["members"].update({name: manifest["members"].pop("database.sqlite")}))


def flipped(members: list[tuple[tarfile.TarInfo, bytes]], index: int) -> None:
    entry, content = members[index]
    middle = len(content) // 2
    members[index] = (entry, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


HARM: Mapping[str, tuple[Callable[[list[tuple[tarfile.TarInfo, bytes]]], object], str]] = {
    "a path that climbs out": (lambda members: members.append(extra("../../evil")), "UnsafeArchive"),
    "an absolute path": (lambda members: members.append(extra("/var/evil")), "UnsafeArchive"),
    "a stranger": (lambda members: members.append(extra("evil")), "UnsafeArchive"),
    "a climbing path that the manifest names": (lambda members: renamed(members, "../evil.sqlite"), "UnsafeArchive"),
    "a link": (lambda members: members.insert(1, extra("database.sqlite", tarfile.SYMTYPE, "/etc/passwd")), "UnsafeArchive"),
    "a hard link": (lambda members: members.insert(1, extra("keys.sealed", tarfile.LNKTYPE, "manifest.json")), "UnsafeArchive"),
    "a device": (lambda members: members.insert(1, extra("database.sqlite", tarfile.CHRTYPE)), "UnsafeArchive"),
    "no manifest": (lambda members: members.pop(0), "UnsafeArchive"),
    "a second database": (lambda members: members.append(members[1]), "DamagedArchive"),
    "no database": (lambda members: members.pop(1), "DamagedArchive"),
    "keys cut off": (lambda members: members.pop(2), "DamagedArchive"),
    "a database with one bit changed": (lambda members: flipped(members, 1), "DamagedArchive"),
    "keys with one bit changed": (lambda members: flipped(members, 2), "DamagedArchive"),
    "a later format": (lambda members: told(members, lambda manifest: manifest.update(format=2)), "NewerArchive"),
    "a later schema": (lambda members: told(members, lambda manifest: manifest.update(schema="9999")), "WrongPassphrase"),
    "other facts": (lambda members: told(members, lambda manifest: manifest.update(madeAt=1)), "WrongPassphrase"),
    "half a manifest": (lambda members: told(members, lambda manifest: manifest.pop("tables")), "DamagedArchive"),
}


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Settings]:
    """Settings whose data folder is empty, and still is when everything was refused."""
    data = tmp_path / "place" / "data"
    data.mkdir(parents=True)
    yield settings(data)
    assert list((tmp_path / "place").rglob("*")) == [data]
    assert not Path("/var/evil").exists()


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_refused_and_changes_nothing(harm: str, made: Path, untouched: Settings, tmp_path: Path) -> None:
    members = unpacked(made)
    change, code = HARM[harm]
    change(members)
    packed(tmp_path / "harmed", members)
    with pytest.raises(ArmError) as caught:
        restore(untouched, tmp_path / "harmed", PASSPHRASE, ignore)
    assert caught.value.code == code, caught.value.message


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.6, 0.99])
def test_an_archive_that_was_cut_off_is_refused(part: float, made: Path, untouched: Settings, tmp_path: Path) -> None:
    content = made.read_bytes()
    (tmp_path / "cut").write_bytes(content[: int((len(content) - 10_240) * part)])
    with pytest.raises(ArmError) as caught:
        restore(untouched, tmp_path / "cut", PASSPHRASE, ignore)
    assert caught.value.code in ("DamagedArchive", "UnsafeArchive")


def test_another_passphrase_opens_nothing(made: Path, untouched: Settings) -> None:
    with pytest.raises(ArmError, match="WrongPassphrase"):
        restore(untouched, made, PASSPHRASE + "!", ignore)


def test_a_newer_schema_without_keys_is_refused(made: Path, untouched: Settings, tmp_path: Path) -> None:
    members = unpacked(made)[:2]

    def change(manifest: dict[str, Any]) -> None:
        manifest["schema"] = "9999"
        del manifest["members"]["keys.sealed"]

    told(members, change)
    packed(tmp_path / "newer", members)
    with pytest.raises(ArmError, match=r"NewerArchive.*install that version"):
        restore(untouched, tmp_path / "newer", "", ignore)


def test_a_chain_that_was_changed_in_an_open_archive_is_noticed(made: Path, untouched: Settings, tmp_path: Path) -> None:
    """Somebody who can write the archive can make its digests right, but not the chain."""
    (entry, _), (database, content), _ = unpacked(made)
    (tmp_path / "forged.db").write_bytes(content)
    store = Store(f"sqlite:///{tmp_path / 'forged.db'}")
    with store.begin() as connection:
        connection.execute(update(audit_records).where(audit_records.c.seq == 3).values(actor="nobody"))
    store.close()
    content = (tmp_path / "forged.db").read_bytes()
    database.size = len(content)
    members = [(entry, unpacked(made)[0][1]), (database, content)]
    told(members, lambda manifest: manifest.update(members={"database.sqlite": archive.describe(io.BytesIO(content))}))
    packed(tmp_path / "forged", members)
    with pytest.raises(ArmError, match="record 3 was changed"):
        restore(untouched, tmp_path / "forged", "", ignore)


@pytest.mark.parametrize("present", ["isthmus.db", "server.json", "keys/api/ring.json", "notes.txt"])
def test_a_folder_that_is_in_use_is_left_alone(present: str, made: Path, tmp_path: Path) -> None:
    mine = tmp_path / "data" / present
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = everything(tmp_path / "data")
    with pytest.raises(ArmError, match=r"DataFolderNotEmpty|is not empty"):
        restore(settings(tmp_path / "data"), made, PASSPHRASE, ignore)
    assert everything(tmp_path / "data") == before


def test_keys_and_databases_elsewhere_are_left_alone(made: Path, first_keys: Path, tmp_path: Path) -> None:
    (tmp_path / "there.db").write_text("mine")
    for given in (settings(tmp_path / "data", keys=first_keys), settings(tmp_path / "data", f"sqlite:///{tmp_path / 'there.db'}")):
        with pytest.raises(ArmError, match=r"KeysExist|TargetNotEmpty"):
            restore(given, made, PASSPHRASE, ignore)
    assert not (tmp_path / "data").exists()
    assert (tmp_path / "there.db").read_text() == "mine"
