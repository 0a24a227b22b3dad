"""What the doctor looks with: everything that reaches outside the program, so that tests put something else in its place."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import httpx

_SECONDS = 5.0
_PROGRAM_SECONDS = 30.0
_LARGEST = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An HTTP answer; header names are in lower case. `asked` and `came` are our clock before and after it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    asked: float = 0.0
    came: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """No HTTP answer, and why."""

    why: Literal["name", "certificate", "timeout", "connection"]
    detail: str


class Fetch(Protocol):
    """GET of a URL."""

    def __call__(self, url: str, *, also: Sequence[Path] = (), only: Path | None = None, by_proxy: bool = False) -> Reply | Silence:
        """See `fetch`."""
        ...


def fetch(url: str, *, also: Sequence[Path] = (), only: Path | None = None, by_proxy: bool = False) -> Reply | Silence:
    """GET a URL, following nothing.

    The public authorities are trusted, `also` those of some files, or instead `only` those of one. `by_proxy` obeys HTTPS_PROXY.
    """
    asked = time.time()
    try:
        context = ssl.create_default_context(cafile=only)
        for file in also:
            context.load_verify_locations(file)
        with httpx.Client(verify=context, timeout=_SECONDS, trust_env=by_proxy, follow_redirects=False) as client:
            answer = client.get(url)
    except httpx.TimeoutException:
        return Silence(why="timeout", detail=f"no answer within {_SECONDS:.0f} seconds")
    except (httpx.TransportError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return _silence(error)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(status=answer.status_code, headers=headers, body=answer.content[:_LARGEST], asked=asked, came=time.time())


def _silence(error: Exception) -> Silence:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or isinstance(error, ssl.SSLError):
        return Silence(why="certificate", detail=text)
    names = ("Name or service not known", "No address associated", "Temporary failure in name resolution", "getaddrinfo")
    return Silence(why="name" if any(name in text for name in names) else "connection", detail=text)


def resolve(host: str) -> Sequence[str]:
    """Addresses of a name; none when it has none."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):
        return ()


def bind(host: str, port: int) -> int:
    """The error number of listening there, 0 when it can be done; the port is given back at once."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except socket.gaierror:
            return errno.EADDRNOTAVAIL
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def file_system(path: Path) -> str:
    """The kind of file system below a path (`ext4`, `nfs4`, …); empty where the kernel does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    real, best, kind = os.path.realpath(path), "", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def can_lock(folder: Path) -> bool:
    """Whether the file system knows locks; a lock that somebody else holds shows that it does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def is_running(process: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a program prints; empty when it fails or takes too long."""
    try:
        ran = subprocess.run(
            command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_PROGRAM_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout if ran.returncode == 0 else ""


def free_bytes(folder: Path) -> int:
    """Room that is left for this user."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, kw_only=True, slots=True)
class Probes:
    """Everything at once; the defaults are the real ones."""

    clock: Callable[[], float] = time.time
    fetch: Fetch = fetch
    resolve: Callable[[str], Sequence[str]] = resolve
    bind: Callable[[str, int], int] = bind
    file_system: Callable[[Path], str] = file_system
    can_lock: Callable[[Path], bool] = can_lock
    free_bytes: Callable[[Path], int] = free_bytes
    is_running: Callable[[int], bool] = is_running
    find_program: Callable[[str], str | None] = shutil.which
    run: Callable[[Sequence[str], Mapping[str, str]], str] = run
