"""Fresh databases at the price of a copy: each kind is migrated once per session and copied from then on."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

from tests.support.postgres import Postgres

from isthmus.store import Store
from isthmus.work import Work

_TEMPLATE = "isthmus_template"


class Databases:
    """Makes databases with all tables of the product and of the durable engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._sqlite: Path | None = None
        self._has_template = False

    def fresh_sqlite(self, path: Path) -> str:
        """A migrated database file at `path`; answers its URL."""
        if self._sqlite is None:
            template = self._folder / "template.db"
            migrate(f"sqlite:///{template}")
            self._sqlite = template
        shutil.copyfile(self._sqlite, path)
        return f"sqlite:///{path}"

    def fresh_postgresql(self, server: Postgres) -> str:
        """A migrated database on the server; answers its URL."""
        if not self._has_template:
            migrate(server.create(_TEMPLATE))
            self._has_template = True
        return server.create(f"isthmus_{next(self._numbers)}", template=_TEMPLATE)

    def close(self) -> None:
        """Forget the templates."""
        self._sqlite = None


def migrate(url: str) -> None:
    """Create every table of the product and of the engine, and let go of the database."""
    store = Store(url)
    store.migrate()
    Work(store, jobs=[], queues=[], clock=time.time).migrate()
    store.close()
