"""What every test may use: a database on SQLite and on PostgreSQL, a clock to set, and a guard that keeps tests off the network."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from isthmus.store import Store
from tests.support.clock import Clock
from tests.support.databases import Databases
from tests.support.examples import FAST, LONG, WHOLE
from tests.support.openid import OpenIdProvider, running_provider
from tests.support.postgres import Postgres

_TESTS = Path(__file__).parent
_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30
"""Where temporary folders lie on Linux: databases wait for the disk at every commit, and durability is not what tests test."""
_PROGRAMS = frozenset({"site", "cli", "served_with_provider", "openid_provider"})
"""Fixtures that start a server of ours or of others, or a browser."""
_LONG = ("e2e", "portal", "contract", "access")
# Hundreds of thousands of objects of imported modules live as long as the session: to look through them for garbage is most of its cost.
gc.set_threshold(100_000, 20, 20)

for _profile in (WHOLE, FAST, LONG):
    # A busy machine may stand still for seconds: how long an example took says nothing. No deadline is 30 s to make examples up, too.
    settings.register_profile(_profile, deadline=None)
settings.load_profile(WHOLE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out every test that needs PostgreSQL, a server or a browser, or is slow")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgresql: needs PostgreSQL whatever its parameters say")
    if _MEMORY.is_dir() and _holds_tests(os.statvfs(_MEMORY)) and os.access(_MEMORY, os.W_OK | os.X_OK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
    # Plain tracebacks: the default renders every local variable, which costs a second per logged error.
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files of which `--fast` leaves out everything are not even imported; None lets others decide."""
    is_left_out = collection_path.name.endswith("_on_lab.py") or {"contract", "e2e"} & set(collection_path.relative_to(_TESTS).parts)
    return True if config.getoption("--fast") and is_left_out else None


def _holds_tests(system: os.statvfs_result) -> bool:
    """Whether there is room for all that tests keep at once, and programs may be run there."""
    return system.f_bavail * system.f_frsize > _ROOM and not system.f_flag & os.ST_NOEXEC


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Garbage collectors walk everything that is there; what was collected stays to the end.
    gc.collect()
    gc.freeze()
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)
    if not config.getoption("--fast"):
        return
    left_out = [item for item in items if _takes_long(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not _takes_long(item)]


def _turn(item: pytest.Item) -> int:
    """Workers begin with files that wait for whole programs and end with small ones: none is alone with a long one at the end."""
    folder = item.path.relative_to(_TESTS).parts[0]
    return _LONG.index(folder) if folder in _LONG else len(_LONG)


def _takes_long(item: pytest.Item) -> bool:
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    is_marked = any(item.get_closest_marker(name) for name in ("postgresql", "e2e", "slow"))
    return is_marked or "postgresql" in parameters.values() or not _PROGRAMS.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's PostgreSQL server, started when first asked for. Fails when it cannot start; it is never skipped."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Maker of fresh, migrated databases."""
    return Databases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database (product and engine tables), once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield databases.fresh_sqlite(tmp_path / "isthmus.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = databases.fresh_postgresql(server)
    yield url
    databases.clear(url)


@pytest.fixture
def postgresql_url(postgres: Postgres, databases: Databases) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database, for tests marked `postgresql`."""
    url = databases.fresh_postgresql(postgres)
    yield url
    databases.clear(url)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on a fresh, migrated database."""
    opened = Store(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def openid_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    """The session's OpenID provider, started when first asked for. Fails when it cannot start; it is never skipped."""
    with running_provider(tmp_path_factory.mktemp("openid") / "keys") as provider:
        yield provider


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is set."""
    return Clock()


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse connections from Python to anything but this machine."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if not (host.startswith("127.") or host in ("localhost", "::1", "::ffff:127.0.0.1")):
                raise PermissionError(f"a test tried to connect to {host}:{address[1]}; tests reach this machine only")
        return connect(self, address)

    return guarded
