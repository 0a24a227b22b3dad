"""The running server: bind, build, say where it is, serve until told to stop."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import structlog
import typer
import uvicorn

from isthmus import __version__, app, client
from isthmus.arm.errors import ArmError
from isthmus.cli import logs
from isthmus.cli.output import console
from isthmus.client import Client, Note
from isthmus.settings import Settings

GRACE = 5
_LOCK = ".serving"
_M_ARENA_MAX = -8  # malloc.h


def run(settings: Settings, *, exact_port: bool, work_only: bool, accepts_new_keys: bool, log_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; the process then ends with code 0. ArmError when port or data folder are not to be had."""
    stop = _Stop()
    limit_memory()
    data = settings.data_folder
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(data):
        listener = bind(settings.host, settings.port, exact=exact_port)
        port = listener.getsockname()[1]
        logs.configure(settings.log_level, log_file)
        built = app.build(settings, port=port, has_face=not work_only, accepts_new_keys=accepts_new_keys)
        named = (settings.host, urlsplit(built.public_url).hostname, urlsplit(settings.issuer_url).hostname)
        certificate = built.authority.server_file([name for name in named if name])
        config = uvicorn.Config(
            built.asgi,
            ssl_certfile=certificate,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = uvicorn.Server(config)
        announce = partial(_announce, server, built, settings, moved=settings.port not in (0, port), leads=not work_only)
        with stop.ends(server, built.retire):
            threading.Thread(target=announce, daemon=True).start()
            try:
                server.run(sockets=[listener])
            finally:
                client.remove_note(data, os.getpid())
        if not server.started and not stop.told:
            raise ArmError("ServerNotStarted", "The server could not start; the log says why.", status=500)
        structlog.get_logger("isthmus").info("stopped")


def limit_memory() -> None:
    """Let all threads share two memory arenas: glibc gives each its own, which costs megabytes in a process with many idle threads."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def bind(host: str, port: int, *, exact: bool = False) -> socket.socket:
    """A listening socket on the port, or on a free one when it is taken and `exact` is off; ArmError `PortTaken` otherwise."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (port, 0):
        listener = socket.socket(family, socket.SOCK_STREAM)
        # Restarting must not wait for connections of the last run to time out; a port somebody listens on stays taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, wanted))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if exact or wanted == 0 or not _is_taken(error):
                raise ArmError(
                    "PortTaken",
                    f"Cannot listen on {host}:{wanted}: {error.strerror}. Choose another with --port or ISTHMUS_PORT.",
                    target=f"{host}:{wanted}",
                ) from error
        else:
            return listener
    raise AssertionError("a free port or an error")


def _is_taken(error: OSError) -> bool:
    return error.errno == errno.EADDRINUSE


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One server per data folder: its keys and its note are one server's."""
    descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = client.read_note(data)
            where = f" at {note.url} (process {note.pid})" if note else ""
            raise ArmError(
                "AlreadyServing", f"A server runs on '{data}' already{where}. Stop it first, or choose another folder with --data."
            ) from None
        yield
    finally:
        os.close(descriptor)


class _Stop:
    """SIGTERM and SIGINT: before the server listens they end the process, while it listens they let it finish; both with code 0."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._retire: Callable[[], None] = lambda: None
        self.told = False
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._told)

    @contextmanager
    def ends(self, server: uvicorn.Server, retire: Callable[[], None]) -> Iterator[None]:
        """While inside, a signal stops this server, and what would keep it waiting. uvicorn raises it once more when it is done."""
        self._server, self._retire = server, retire
        yield

    def _told(self, _kind: int, _frame: FrameType | None) -> None:
        self.told = True
        if self._server is None:
            raise SystemExit(0)
        self._server.should_exit = True
        self._retire()


def _announce(server: uvicorn.Server, built: app.Application, settings: Settings, *, moved: bool, leads: bool) -> None:
    """When it listens: say where it is, leave the note, and at the first start on a terminal show the first sign-in link.

    `leads` is off for a process that only works: commands would find nothing there, so it leaves no note and shows no link.
    """
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    data, ca = settings.data_folder, str(built.authority.ca_path)
    if leads:
        Note(
            url=built.public_url,
            pid=os.getpid(),
            ca=ca,
            issuer=settings.issuer_url,
            subscription=built.installation.subscription,
            keys=str(settings.keys),
            version=__version__,
        ).write(data)
    structlog.get_logger("isthmus").info("started", url=built.public_url, pid=os.getpid(), tenant=built.installation.tenant, serves=leads)
    if not leads:
        return
    shown = console(errors=True)
    if moved:
        shown.print("The port was taken, so a free one is used.", soft_wrap=True)
    shown.print(f"Isthmus serves {built.public_url}", soft_wrap=True)
    shown.print(f"Certificates come from its own CA: {ca} (name it to clients: ISTHMUS_CA_FILE, or isthmus login --ca)", soft_wrap=True)
    if not (built.installation.is_new and sys.stderr.isatty()):
        shown.print("Sign in: the owner of the data folder just runs 'isthmus …'; for others make a link with 'isthmus login --link'.")
        return
    shown.print("Sign in with this link, once, within 10 minutes. It is shown this once and written nowhere:")
    place = client.find_server(data, "", {})
    try:
        with Client(place.url, client.choose_token(place, {"HOME": str(data)}, time.time), verify=place.ca) as caller:
            typer.echo(caller.post("/providers/Isthmus.Identity/signInLinks").body["url"], err=True)
    except ArmError:
        shown.print("(No link could be made: run 'isthmus login --link'.)")
