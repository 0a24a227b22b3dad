"""The lab's side of the zygote: start processes on machines, wait for them, signal and kill them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from isthmus_lab.machines.zygote_socket import NAME

START = 20.0
"""Seconds within which the zygote must have imported the agent."""


class Child:
    """A process on a machine. Dropping the connection kills its process group, so nothing survives the lab."""

    def __init__(self, link: socket.socket, pid: int) -> None:
        self.pid = pid
        self._link = link
        self._end: asyncio.Task[int] = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> int:
        loop = asyncio.get_running_loop()
        try:
            message = await loop.sock_recv(self._link, 64)
        except OSError:
            message = b""
        self._link.close()
        if message[:1] == b"x":
            return int(message[1:])
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # the zygote is gone and cannot do it
        return 128 + signal.SIGKILL

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet, as far as we were told."""
        return not self._end.done()

    async def wait(self) -> int:
        """The exit code, 128 + number for a signal. Cancelling the wait leaves the process alone."""
        return await asyncio.shield(self._end)

    def signal(self, number: int) -> None:
        """Send a signal to the process group; nothing happens when it ended."""
        if self.running:
            with contextlib.suppress(OSError):
                self._link.send(bytes([number]))

    async def end(self, patience: float = 3.0) -> int:
        """SIGTERM, then SIGKILL for what does not listen; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), patience)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()


class Nursery:
    """Owns the zygote. `folder` holds its socket; it is emptied at start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the zygote; 0 when it does not run."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start the zygote and wait until it is ready; RuntimeError when it does not come up."""
        if self._process and self._process.poll() is None:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        keep = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
        with (self.folder / "zygote.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - asyncio would watch it from a thread; it lives as long as the lab
                [sys.executable, "-P", "-m", "isthmus_lab.machines.zygote", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=keep,
                cwd="/",
                start_new_session=True,
            )
        try:
            ready = await asyncio.wait_for(asyncio.to_thread(self._greeting), START)
        except TimeoutError:
            ready = b""
        if ready != b"ready\n":
            await self.stop()
            raise RuntimeError(f"The parent process of the machines did not start; see {self.folder / 'zygote.log'}.")

    def _greeting(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            return b""
        return self._process.stdout.readline()

    async def stop(self) -> None:
        """Close the lifeline; every process on every machine ends."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            await asyncio.to_thread(process.wait, 5)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def agent(self, arguments: Sequence[str], environ: Mapping[str, str], *, folder: Path, output: Path | None = None) -> Child:
        """Start an azcmagent verb; output goes to the file, or nowhere."""
        return await self._spawn("agent", arguments, environ, folder, output, output)

    async def execute(self, arguments: Sequence[str], environ: Mapping[str, str], *, folder: Path, stdout: Path, stderr: Path) -> Child:
        """Start a program by its full path; its output goes to the two files."""
        return await self._spawn("exec", arguments, environ, folder, stdout, stderr)

    async def _spawn(
        self, kind: str, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, stdout: Path | None, stderr: Path | None
    ) -> Child:
        fields = [kind, str(folder), str(len(arguments)), *arguments, *(f"{key}={value}" for key, value in environ.items())]
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        opened = [os.open("/dev/null", os.O_RDONLY)]
        try:
            for path in (stdout, stderr):
                opened.append(os.open(path or "/dev/null", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            link.setblocking(False)
            where = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            opened.append(where)
            link.connect(f"/proc/self/fd/{where}/{NAME}")
            socket.send_fds(link, [os.fsencode("\0".join(fields))], opened[:3])
            started = await asyncio.get_running_loop().sock_recv(link, 64)
        except BaseException:
            link.close()
            raise
        finally:
            for descriptor in opened:
                os.close(descriptor)
        if started[:1] != b"p":
            link.close()
            raise RuntimeError(f"The machine's process {arguments[:2]} was not started.")
        return Child(link, int(started[1:]))
