"""The second store of checkpoints: whoever changes our database has to change this one as well, and may not be able to.

A folder, best one that somebody else keeps and that can be added to only (a mount of immutable storage in another cloud). A file is never
opened to be changed: it is made where there is none, and one that a crash cut off is completed by what is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from isthmus.arm.errors import ArmError, conflict

_NAME = re.compile(r"(audit|trail)-([0-9]{15})\.json")
_LARGEST = 1 << 16


class FolderAnchor:
    """A folder by its URL (`file:///…`) or path. It is made where it is missing."""

    def __init__(self, place: str) -> None:
        parts = urlsplit(place)
        self.path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(place)

    def add(self, tree: str, size: int, content: bytes) -> None:
        """Keep a checkpoint, durably. The same again changes nothing; ArmError 409 `AnchorDiffers` where another one lies there."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = self.path / f"{tree}-{size:015d}.json"
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
            held = b""
        except FileExistsError:
            held = _read(file)
            if held == content:
                return
            if not content.startswith(held):
                told = f"'{file}' holds another checkpoint than the database. One of them was changed: run 'isthmus audit verify'."
                raise conflict(told, target=str(file), code="AnchorDiffers") from None
            file.chmod(0o644)
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content[len(held) :])
            out.flush()
            os.fsync(out.fileno())
        _settle(self.path)

    def all(self) -> Iterator[tuple[str, int, bytes]]:
        """Every checkpoint in it: tree, size, content. ArmError 404 `NoAnchor` when there is no such folder."""
        if not self.path.is_dir():
            raise ArmError("NoAnchor", f"There is no folder '{self.path}' with checkpoints.", status=404, target=str(self.path))
        for file in sorted(self.path.iterdir()):
            if match := _NAME.fullmatch(file.name):
                yield match[1], int(match[2]), _read(file)


def _read(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as content:
        return content.read(_LARGEST)


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
