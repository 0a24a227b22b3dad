"""Atomic files, locks and what the store refuses."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from isthmus_agent import files
from isthmus_agent.exits import AgentError, Exit
from isthmus_agent.keys import Key
from isthmus_agent.store import Store


def test_write_replaces_whole_files_with_their_mode(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    target.chmod(0o644)
    files.write(target, b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    monkeypatch.setattr("isthmus_agent.files.os.replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write(target, b"new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_lock_excludes_others(tmp_path: Path) -> None:
    with files.locked(tmp_path / "lock") as first, files.locked(tmp_path / "lock", wait=False) as second:
        assert (first, second) == (True, False)
    with files.locked(tmp_path / "lock", wait=False) as third:
        assert third


def test_damaged_keys_are_told(store: Store) -> None:
    store.paths.saved_key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    with pytest.raises(AgentError) as caught:
        store.saved_key()
    assert caught.value.code is Exit.READ_PRIVATE_KEY
    with pytest.raises(AgentError) as caught:
        store.key("identity-missing.pem")
    assert caught.value.code is Exit.READ_PRIVATE_KEY


def test_a_saved_key_keeps_its_generation(store: Store) -> None:
    key = Key.generate()
    store.save_saved_key(key, "7")
    assert store.saved_key() is not None
    saved, generation = store.saved_key() or (None, "")
    assert (saved and saved.public, generation) == (key.public, "7")
    assert "-----BEGIN PRIVATE KEY-----" in store.paths.saved_key.read_text()
