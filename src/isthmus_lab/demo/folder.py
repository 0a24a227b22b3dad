"""The demo's folder: emptied before each run, but only if it is a demo's, and never under a demo that runs."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARKER = ".isthmus-demo"


class FolderRefusedError(Exception):
    """The folder cannot be used; the message says why and what to do."""


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """The folder, absolute and empty, held for the time of the block. Raises FolderRefusedError and touches nothing when it is not ours."""
    folder = folder.expanduser().absolute()
    marker = folder / MARKER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderRefusedError(f"'{folder}' is not a folder. Name another one with --folder.")
    if folder.is_dir() and not marker.is_file() and any(folder.iterdir()):
        raise FolderRefusedError(f"'{folder}' holds something that no demo made. Empty it, or name another one with --folder.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderRefusedError(f"A demo runs in '{folder}' already. Stop it, or name another folder with --folder.") from None
        _empty(folder)
        yield folder
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
