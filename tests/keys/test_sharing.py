"""Several processes on one key folder: some may write it, some may only read it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isthmus.arm.errors import ArmError
from isthmus.keys import KeyRing, LocalAuthority, operator_signer
from tests.support.clock import Clock

LEAD, LIFE = 100.0, 1_000.0
NOBODY = 65_534


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A complete key folder, at a place that every account may reach."""
    folder = Path(tempfile.mkdtemp(prefix="isthmus-keys-"))
    folder.chmod(0o755)
    keys = folder / "keys"
    KeyRing(keys, "api", clock=Clock(), lead=LEAD)
    LocalAuthority(keys, clock=Clock())
    operator_signer(keys)
    yield keys
    shutil.rmtree(folder)


@contextmanager
def read_only(keys: Path) -> Iterator[None]:
    """The folder as it is on a mount that this process may only read; root is somebody else meanwhile, since nothing stops root."""
    is_root = os.geteuid() == 0
    everything = [keys, *keys.rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in everything}
    for path in everything:
        if is_root:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(modes[path] & 0o500)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


def test_of_processes_that_find_a_key_due_one_rotates(made: Path, tmp_path: Path, clock: Clock) -> None:
    shutil.copytree(made, tmp_path / "keys")
    rings = [KeyRing(tmp_path / "keys", "api", clock=clock, lead=LEAD) for _ in range(4)]
    clock.advance(LIFE + 1)
    rotated: list[str] = []

    def rotate(ring: KeyRing) -> None:
        if made := ring.rotate_if_due(after=LIFE):
            rotated.append(made.kid)

    threads = [threading.Thread(target=rotate, args=(ring,)) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rotated) == 1
    assert {ring.signer().kid for ring in rings} == set(rotated), "all sign with the new key at once"
    assert len({tuple(sorted(key["kid"] for key in ring.jwks()["keys"])) for ring in rings}) == 1


def test_who_may_only_read_signs_serves_and_leaves_the_folder_alone(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = Clock()
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    own = Path(tempfile.mkdtemp(prefix="isthmus-own-"))
    own.chmod(0o777)
    with read_only(made):
        ring = KeyRing(made, "api", clock=clock, lead=LEAD)
        authority = LocalAuthority(made, clock=clock, own=own / "keys")
        assert authority.server_file(["a.test"]).is_relative_to(own)
        assert operator_signer(made).kid
        clock.advance(LIFE + 1)
        assert (ring.is_kept_here, ring.is_due(after=LIFE), ring.rotate_if_due(after=LIFE)) == (False, True, None)
        with pytest.raises(ArmError, match=r"ReadOnlyKeyFolder.*may only read"):
            ring.rotate()
    shutil.rmtree(own)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_a_reader_sees_the_rotation_of_the_keeper(made: Path, clock: Clock) -> None:
    keeper = KeyRing(made, "api", clock=clock, lead=LEAD)
    with read_only(made):
        reader = KeyRing(made, "api", clock=clock, lead=LEAD)
        old = reader.current
    clock.advance(LIFE + 1)
    rotated = keeper.rotate_if_due(after=LIFE)
    assert rotated is not None
    with read_only(made):
        assert reader.current == rotated.kid != old


@pytest.mark.parametrize("make", [lambda keys: KeyRing(keys, "aws", clock=Clock()), lambda keys: operator_signer(keys / "none")])
def test_what_is_missing_in_a_read_only_folder_is_an_error(made: Path, make: Callable[[Path], object]) -> None:
    (made / "none").mkdir(mode=0o700, exist_ok=True)
    (made / "aws").mkdir(mode=0o700, exist_ok=True)
    with read_only(made), pytest.raises(ArmError, match="Start a process that may write the folder first"):
        make(made)
