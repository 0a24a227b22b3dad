"""Private files: one folder (0700) with files (0600) that are replaced atomically and refused when others could read them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.arm.errors import ArmError

_OTHERS = 0o077
_LOCK = ".lock"
_PARTIAL = ".partial"
_MAY_NOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM)


class KeyFolder:
    """A folder for private keys, made with mode 0700. A wider mode raises ArmError `UnsafeKeyFile` with the command that narrows it.

    Where this process may only read (a read-only mount), writing raises ArmError `ReadOnlyKeyFolder`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_wide(path, path.lstat(), wanted="700")

    @property
    def is_writable(self) -> bool:
        """Whether this process may change what is in it."""
        return os.access(self.path, os.W_OK, effective_ids=True)

    def read(self, name: str) -> bytes | None:
        """The content of a file, None when there is none. Links and files that others may read are refused."""
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArmError("UnsafeKeyFile", f"The key file '{self.path / name}' cannot be opened: {error.strerror}.", status=500) from error
        with os.fdopen(descriptor, "rb") as file:
            _refuse_wide(self.path / name, os.fstat(descriptor), wanted="600")
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Replace a file atomically and durably: after a crash there is the old content or the new one, never a part."""
        partial = self.path / f"{name}.{os.getpid()}{_PARTIAL}"
        try:
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _MAY_NOT_WRITE:
                raise
            raise self._read_only(name) from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        partial.replace(self.path / name)
        self._settle()

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""
        (self.path / name).unlink(missing_ok=True)
        self._settle()

    def names(self) -> list[str]:
        """Names of the files, sorted; the lock is not among them, what a crash left half-written is."""
        return sorted(entry.name for entry in self.path.iterdir() if entry.name != _LOCK and entry.is_file())

    def stamp(self, name: str) -> tuple[int, int, int]:
        """Changes whenever the file is replaced; zeros when there is none."""
        try:
            seen = os.stat(self.path / name)
        except FileNotFoundError:
            return (0, 0, 0)
        return (seen.st_mtime_ns, seen.st_ino, seen.st_size)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder alone, across threads and processes. Who may only read holds it together with other readers."""
        writes = self.is_writable
        mode = os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY
        try:
            descriptor = os.open(self.path / _LOCK, mode | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # A copy that came without the lock file: nobody here writes, so there is nobody to wait for.
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if writes else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """Hold a file of this name, across threads and processes; False at once when somebody else does. It stays empty."""
        descriptor = self._lockable(name)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_mine = True
            except BlockingIOError:
                is_mine = False
            yield is_mine
        finally:
            os.close(descriptor)

    def _lockable(self, name: str) -> int:
        try:
            return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _MAY_NOT_WRITE:
                raise
            raise self._read_only(name) from error

    def _read_only(self, name: str) -> ArmError:
        return ArmError(
            "ReadOnlyKeyFolder",
            f"The key file '{self.path / name}' would have to be written, and this process may only read there. Start a process that "
            "may write the folder first, or mount it writable.",
            status=500,
            target=str(self.path),
        )

    def _settle(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refuse_wide(path: Path, seen: os.stat_result, *, wanted: str) -> None:
    if stat.S_IMODE(seen.st_mode) & _OTHERS:
        raise ArmError(
            "UnsafeKeyFile",
            f"'{path}' has mode {stat.S_IMODE(seen.st_mode):04o}, so other users of this computer could read private keys. "
            f"Nothing was loaded. If nobody had access, run: chmod {wanted} '{path}'. Otherwise delete the keys and start again.",
            status=500,
            target=str(path),
        )
