"""The parent process of everything that runs on the lab's machines.

It imports the agent once and forks a child per verb, service and script, so that a verb costs a fork instead of an interpreter start. A
request is one SOCK_SEQPACKET message on a unix socket, fields joined by NUL: kind (`agent` or `exec`), working folder, number of
arguments, the arguments, then `NAME=value` of the whole environment; three file descriptors come with it (SCM_RIGHTS). Answers:
`p<pid>` once started, `x<exit code>` at the end. The requester may send signal numbers as single bytes; when it goes away, the child's
process group is killed. Standard input is the lifeline: when the lab ends, in whatever way, it closes and everything here ends too.

It must stay free of threads: a fork copies only one.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from isthmus_agent.command import main as azcmagent
from isthmus_lab.machines.zygote_socket import NAME

_LARGEST = 256 * 1024
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    kind: str
    folder: str
    arguments: list[str]
    environ: dict[str, str]


def _parse(payload: bytes) -> _Request:
    kind, folder, count, *rest = os.fsdecode(payload).split("\0")
    arguments, pairs = rest[: int(count)], rest[int(count) :]
    environ = dict(pair.partition("=")[::2] for pair in pairs)
    return _Request(kind=kind, folder=folder, arguments=arguments, environ=environ)


class Zygote:
    """Accepts requests and forks until its lifeline closes."""

    def __init__(self, folder: Path) -> None:
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, tuple[socket.socket, int]] = {}  # pid -> (requester, pidfd)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._listener.bind(f"/proc/self/fd/{descriptor}/{NAME}")  # socket addresses hold 107 bytes, folders may be longer
        os.close(descriptor)
        os.chmod(folder / NAME, 0o600)
        self._listener.listen(1024)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._lifeline)
        self._running = True

    def serve(self) -> None:
        """Serve until the lifeline closes, then kill every child."""
        while self._running:
            for key, _ in self._selector.select():
                key.data(key.fileobj)
        for pid in list(self._children):
            _kill_group(pid, signal.SIGKILL)

    def _lifeline(self, _stream: object) -> None:
        self._running = bool(os.read(sys.stdin.fileno(), 64))

    def _accept(self, listener: socket.socket) -> None:
        requester, _ = listener.accept()
        requester.settimeout(5)
        descriptors: list[int] = []
        try:
            payload, descriptors, _, _ = socket.recv_fds(requester, _LARGEST, 3)
            request = _parse(payload)
            if len(descriptors) != 3:
                raise ValueError("three file descriptors are expected")
            self._start(request, requester, descriptors)
        except (OSError, ValueError):
            requester.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _start(self, request: _Request, requester: socket.socket, descriptors: list[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(request, descriptors, parent)
        requester.setblocking(False)
        watched = os.pidfd_open(pid)
        self._children[pid] = (requester, watched)
        self._selector.register(watched, selectors.EVENT_READ, lambda _fd: self._ended(pid))
        self._selector.register(requester, selectors.EVENT_READ, lambda _sock: self._asked(pid))
        with contextlib.suppress(OSError):
            requester.send(f"p{pid}".encode())

    def _asked(self, pid: int) -> None:
        if pid not in self._children:
            return  # it ended in the same turn
        requester, _ = self._children[pid]
        try:
            message = requester.recv(64)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._selector.unregister(requester)
        _kill_group(pid, message[0] if message else signal.SIGKILL)

    def _ended(self, pid: int) -> None:
        if pid not in self._children:
            return
        _kill_group(pid, signal.SIGKILL)  # what the leader left behind; the leader is still a zombie, so the id is not reused
        _, status = os.waitpid(pid, 0)
        requester, watched = self._children.pop(pid)
        self._selector.unregister(watched)
        os.close(watched)
        with contextlib.suppress(KeyError):
            self._selector.unregister(requester)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError):
            requester.send(f"x{code if code >= 0 else 128 - code}".encode())
        requester.close()


def _kill_group(pid: int, number: int) -> None:
    """Signal a child's group; the child alone as long as it has none of its own yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            os.kill(pid, number)


def _become(request: _Request, descriptors: list[int], parent: int) -> NoReturn:
    """In the child: take on the request's folder, environment and descriptors, and run it. Never returns."""
    code = 2
    try:
        os.setsid()
        die_with_parent(parent)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 4096)
        os.chdir(request.folder)
        os.umask(0o022)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if request.kind == "exec":
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an ignored signal survives exec
            os.execve(request.arguments[0], request.arguments, request.environ)  # noqa: S606 - the interpreter of a script
        os.environ.clear()
        os.environ.update(request.environ)
        sys.argv = ["azcmagent", *request.arguments]
        code = _verb(request.arguments)
    except BaseException:  # noqa: BLE001 - the border of a process: whatever happened, it must not return into the parent's loop
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _verb(arguments: list[str]) -> int:
    try:
        return azcmagent(arguments)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
            return 1
        return int(end.code or 0)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends; exits at once if the parent is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(2)


def main() -> None:
    """Serve on `<folder>/zygote.sock`; the folder is the only argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the lab decides when to end
    zygote = Zygote(Path(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    gc.collect()
    gc.freeze()
    zygote.serve()


if __name__ == "__main__":
    main()
