"""Where a person's tokens are kept between commands: a file per server that only its owner can read, and a lock for who renews it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptTokens:
    """An access token, and what gives the next one (empty for a sign-in by link); each until when, in epoch seconds.

    `began` is when the person signed in: renewed tokens keep it, so that another one means another sign-in.
    """

    token: str = field(repr=False)
    until: float
    refresh: str = field(default="", repr=False)
    refresh_until: float = 0.0
    began: float = 0.0


def file_of(environ: Mapping[str, str], url: str) -> Path:
    """Where what is kept of a server lies."""
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".cache")
    return Path(home) / "isthmus" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"


class Kept:
    """The tokens for one server, `$XDG_CACHE_HOME/isthmus/<hash of its URL>.json`, mode 0600. A file that others could read is none."""

    def __init__(self, environ: Mapping[str, str], url: str) -> None:
        self._path = file_of(environ, url)

    def read(self) -> KeptTokens | None:
        """What is kept, be it still good or not."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(descriptor) as file:
            seen = os.fstat(descriptor)
            if stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid != os.geteuid():
                return None
            try:
                found = json.load(file)
                return KeptTokens(
                    token=str(found["token"]),
                    until=float(found["until"]),
                    refresh=str(found.get("refresh") or ""),
                    refresh_until=float(found.get("refresh_until") or 0),
                    began=float(found.get("began") or 0),
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                return None

    def write(self, tokens: KeptTokens) -> None:
        """Keep these instead, at once as a whole."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(tokens), file)
        partial.replace(self._path)

    def remove(self) -> bool:
        """Forget them; whether there was anything."""
        present = self._path.exists()
        self._path.unlink(missing_ok=True)
        return present

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While inside, every other process that asks waits. The system gives the lock back when a process dies."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
