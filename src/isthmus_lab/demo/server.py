"""`isthmus serve` as a child process, with an environment of its own and a log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from isthmus.client import Note, read_note

_DROPPED = ("ISTHMUS_", "AWS_")
_KEPT = ("ISTHMUS_PORT", "ISTHMUS_LOG_LEVEL")


class ServerFailedError(RuntimeError):
    """The server did not start; the message carries the end of its log."""


class ServeProcess:
    """One server whose only AWS is the lab. `launch` returns at once, `note` waits until it listens, `stop` may be called twice.

    The demo's user may have set up a server of his own: none of its settings reach this one, except port and log level.
    """

    def __init__(self, folder: Path, endpoint: str, environ: Mapping[str, str]) -> None:
        self.data, self.log_path = folder / "data", folder / "serve.log"
        kept = {name: value for name, value in environ.items() if name in _KEPT or not name.startswith(_DROPPED)}
        # The lab finds the issuer at the server itself, and so do the server's own checks.
        self._environ = {**kept, "ISTHMUS_DATA": str(self.data), "AWS_ENDPOINT_URL": endpoint, "ISTHMUS_ISSUER_ADDRESS": "self"}
        self._child: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            # A session of its own: Ctrl-C reaches the demo alone, which stops what it started in the right order.
            self._child = subprocess.Popen(
                [sys.executable, "-m", "isthmus", "serve"],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def note(self, timeout: float = 180.0) -> Note:
        """Where it listens; raises ServerFailedError after `timeout` seconds or when it ended."""
        deadline = time.monotonic() + timeout
        while (note := read_note(self.data)) is None:
            if not self.is_running or time.monotonic() > deadline:
                end = self.log_path.read_text(errors="replace")[-2000:]
                raise ServerFailedError(f"The server did not start within {timeout:g} s or ended at once. End of {self.log_path}:\n{end}")
            time.sleep(0.02)
        return note

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def resident(self) -> int:
        """Its resident memory now, in bytes; 0 when it does not run."""
        return _field("VmRSS", self._child.pid) if self._child is not None and self.is_running else 0

    @property
    def peak(self) -> int:
        """The most memory it ever had, in bytes; 0 when it does not run."""
        return _field("VmHWM", self._child.pid) if self._child is not None and self.is_running else 0

    def stop(self, timeout: float = 45.0) -> None:
        """Ask it to end, wait, and end it by force after `timeout` seconds: it lets running steps of jobs end, at most 20 seconds."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _field(name: str, pid: int) -> int:
    """A memory field of /proc/<pid>/status (proc(5)), which is in kB."""
    read: Callable[[], str] = Path(f"/proc/{pid}/status").read_text
    try:
        return next(int(line.split()[1]) * 1024 for line in read().splitlines() if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return 0
