"""How a verb tells the running service that the connection changed: an empty datagram on the service's socket."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus_agent.paths import Paths

NAME = "himds.sock"


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A short name of the folder: socket addresses hold 107 bytes, roots may be longer."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def listen(paths: Paths) -> socket.socket:
    """The service's socket; a socket that an earlier service left behind is replaced."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setblocking(False)
    (paths.socks / NAME).unlink(missing_ok=True)
    with _short(paths.socks) as folder:
        receiver.bind(f"{folder}/{NAME}")
    os.chmod(paths.socks / NAME, 0o600)
    return receiver


def send(paths: Paths) -> None:
    """Wake the service; nothing happens when none is running."""
    with contextlib.suppress(OSError), _short(paths.socks) as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(b"", f"{folder}/{NAME}")


def drain(receiver: socket.socket) -> None:
    """Forget pokes that arrived so far."""
    with contextlib.suppress(BlockingIOError):
        while True:
            receiver.recv(16)
