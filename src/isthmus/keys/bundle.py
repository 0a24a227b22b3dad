"""All files of a key folder as one sealed text, and back. The server's own certificate stays out: the authority makes another."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from isthmus.arm.errors import ArmError, conflict
from isthmus.keys.authority import SERVER
from isthmus.keys.files import KeyFolder
from isthmus.keys.seal import seal, unseal

RINGS = ("api", "audit", "aws")
_NAME = re.compile(rf"(?:(?:{'|'.join(RINGS)})/)?[A-Za-z0-9_-][A-Za-z0-9_.-]{{0,127}}")


def seal_folder(folder: Path, passphrase: str, *, bound: bytes) -> bytes:
    """The files of a key folder, sealed (`isthmus.keys.seal`). ArmError 404 `NoKeys` when there is none."""
    return seal(json.dumps(_gather(folder)).encode(), passphrase, bound=bound)


def unseal_files(sealed: bytes, passphrase: str, *, bound: bytes) -> Mapping[str, bytes]:
    """The files by their path in the folder; ArmError `UnsafeArchive` for a path that would lie elsewhere."""
    found = json.loads(unseal(sealed, passphrase, bound=bound))
    for name in found:
        if not _NAME.fullmatch(name) or ".." in name:
            raise ArmError("UnsafeArchive", f"The sealed keys name '{name[:200]}', which is no key file. Nothing was restored.")
    return {name: base64.b64decode(text) for name, text in found.items()}


def is_empty(folder: Path) -> bool:
    """Whether a key folder holds no key yet."""
    return not folder.exists() or not any(path.is_file() and path.name != ".lock" for path in folder.rglob("*"))


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Fill an empty key folder, each file private and durable; ArmError 409 `KeysExist` when it is not empty. All or nothing."""
    if not is_empty(folder):
        raise conflict(f"The key folder '{folder}' holds keys already. Choose an empty one.", target=str(folder), code="KeysExist")
    try:
        KeyFolder(folder)
        for path, content in files.items():
            place, _, name = path.rpartition("/")
            KeyFolder(folder / place).write(name, content)
    except BaseException:
        remove_files(folder, files)
        raise


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Take back what `write_files` wrote, and the folders that are empty then."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place in (*(folder / ring for ring in RINGS), folder):
        (place / ".lock").unlink(missing_ok=True)
        with suppress(OSError):
            place.rmdir()


def _gather(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for place in ("", *RINGS):
        if not (folder / place).is_dir():
            continue
        here = KeyFolder(folder / place)
        with here.lock():
            for name in here.names():
                content = None if name == SERVER or name.endswith(".partial") else here.read(name)
                if content is not None:
                    found[f"{place}/{name}" if place else name] = base64.b64encode(content).decode()
    if not found:
        message = f"There are no keys in '{folder}'. Name the key folder with ISTHMUS_KEYS_FOLDER, or back up with --without-keys."
        raise ArmError("NoKeys", message, status=404, target=str(folder))
    return found
