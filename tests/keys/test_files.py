"""Key files are private, replaced whole, and refused when others could read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from isthmus.arm.errors import ArmError
from isthmus.keys.authority import LocalAuthority
from isthmus.keys.files import KeyFolder
from isthmus.keys.operator import operator_signer
from isthmus.keys.ring import KeyRing


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_below_the_key_folder_is_private(tmp_path: Path) -> None:
    keys = tmp_path / "data" / "keys"
    KeyRing(keys, "api", clock=lambda: 1e9)
    LocalAuthority(keys, clock=lambda: 1e9).server_file()
    operator_signer(keys)
    found = [keys, *keys.rglob("*")]
    assert len(found) > 8
    assert {path: _mode(path) for path in found} == {path: 0o700 if path.is_dir() else 0o600 for path in found}


def test_a_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(ArmError, match=r"mode 0750.*chmod 700"):
        KeyFolder(tmp_path / "keys")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.write("a.pem", b"secret")
    (folder.path / "a.pem").chmod(mode)
    with pytest.raises(ArmError, match=r"chmod 600") as caught:
        folder.read("a.pem")
    assert caught.value.code == "UnsafeKeyFile"


def test_a_ring_whose_key_became_readable_does_not_open(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys", "aws", clock=lambda: 1e9)
    (tmp_path / "keys" / "aws" / f"{ring.signer().kid}.pem").chmod(0o644)
    with pytest.raises(ArmError, match="UnsafeKeyFile"):
        KeyRing(tmp_path / "keys", "aws", clock=lambda: 1e9)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    (tmp_path / "elsewhere").write_bytes(b"x")
    (folder.path / "a.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArmError, match="cannot be opened"):
        folder.read("a.pem")


def test_writing_replaces_whole_files_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.write("a.pem", b"old")
    before = folder.stamp("a.pem")
    folder.write("a.pem", b"new content")
    assert folder.read("a.pem") == b"new content"
    assert folder.stamp("a.pem") != before
    assert folder.names() == ["a.pem"]
    assert folder.read("missing") is None
