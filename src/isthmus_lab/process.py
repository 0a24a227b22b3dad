"""The lab as a child process: start it, wait until it answers, talk to its admin paths, stop it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from isthmus_lab.environment import PORT, listen, root_credentials, scrubbed

ADMIN_HEADER = "x-isthmus-lab"


class LabFailedError(RuntimeError):
    """The lab did not start; the message carries the end of its log."""


class LabProcess:
    """One lab on loopback, a child of this process with an environment of its own.

    `url` and `pid` are valid after `start`. The log goes to `<state_dir>/lab.log`. Use it as a context manager, or call `start` and
    `stop`; `stop` may be called twice.
    """

    def __init__(self, state_dir: Path, *, port: int = PORT, exact_port: bool = False, environ: Mapping[str, str] = os.environ) -> None:
        self.state_dir = state_dir
        self.log_path = state_dir / "lab.log"
        self.url = ""
        self.pid = 0
        self._port, self._exact_port, self._environ = port, exact_port, environ
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 60.0) -> Self:
        """Start and wait until the lab answers; raises LabFailedError after `timeout` seconds or when it ends before."""
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with listen(self._port, exact=self._exact_port) as listener, self.log_path.open("ab") as log:
            environment = scrubbed(self._environ, listener=listener, state_dir=self.state_dir)
            self._child = subprocess.Popen(
                [sys.executable, "-m", "isthmus_lab.server"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        try:
            ready = json.loads(self._ready_line(self._child, timeout))
        except BaseException:
            self.stop()  # nobody else knows the child yet
            raise
        self.url, self.pid = ready["url"], ready["pid"]
        return self

    def _ready_line(self, child: subprocess.Popen[bytes], timeout: float) -> bytes:
        assert child.stdout is not None
        deadline = time.monotonic() + timeout
        line = b""
        while not line.endswith(b"\n"):
            # poll(2), since select(2) knows descriptors below 1024 only.
            waiting = select.poll()
            waiting.register(child.stdout, select.POLLIN)
            readable = waiting.poll(max(0.0, deadline - time.monotonic()) * 1000)
            chunk = os.read(child.stdout.fileno(), 4096) if readable else b""
            if not chunk:
                end = self.log_path.read_text(errors="replace")[-2000:]
                raise LabFailedError(f"The lab did not start within {timeout:g} s or ended at once. End of {self.log_path}:\n{end}")
            line += chunk
        return line

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the lab to end, wait, and end it by force after `timeout` seconds."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(timeout)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child.stdout is not None:
            child.stdout.close()

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._child is not None and self._child.poll() is None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call an admin path such as `/_lab/faults`; answers the decoded JSON. Raises urllib.error.HTTPError."""
        return admin_call(self.url, method, path, body)

    def client_arguments(self, account: str, region: str) -> dict[str, str]:
        """boto3 arguments for a client that is the account's root in a region."""
        return {"endpoint_url": self.url, "region_name": region, **root_credentials(account)}


def admin_call(url: str, method: str, path: str, body: object = None) -> Any:
    """Call an admin path of the lab at `url`; answers the decoded JSON. Raises urllib.error.HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, method=method, headers={ADMIN_HEADER: "1"})  # noqa: S310 — loopback only
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")
