"""Log files in the line format of the official agent. Callers never pass secrets; values are cut at 500 characters."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from isthmus_agent import files

LIMIT = 1_000_000
"""Bytes after which a log file is set aside as `<name>.1`."""


class Log:
    """Appends lines `time="…" level=info msg="…" Key="…"` to one file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def info(self, message: str, **fields: object) -> None:
        """Something happened as it should."""
        self._append("info", message, fields)

    def warn(self, message: str, **fields: object) -> None:
        """Something failed and will be tried again."""
        self._append("warning", message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Something failed for good."""
        self._append("error", message, fields)

    def _append(self, level: str, message: str, fields: dict[str, object]) -> None:
        parts = [f'time="{rfc3339(self._clock())}"', f"level={level}", f"msg={_quote(message)}"]
        parts += [f"{name}={_quote(str(value))}" for name, value in fields.items()]
        try:
            files.make_folder(self._path.parent)
            if self._path.exists() and self._path.stat().st_size > LIMIT:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with open(self._path, "a", encoding="utf-8", opener=_private) as stream:
                stream.write(" ".join(parts) + "\n")
        except OSError:
            return  # a full disk or a read-only folder must not stop the verb itself


def rfc3339(epoch: float) -> str:
    """Epoch seconds as UTC text of RFC 3339, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, files.PRIVATE)


def _quote(text: str) -> str:
    return json.dumps(text[:500], ensure_ascii=False)
