"""Health and metrics: is the process alive, can it work, what has it done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import Connection, text
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from isthmus.api.wire import Incoming, Reply
from isthmus.arm.errors import ArmError
from isthmus.metrics import Metrics
from isthmus.store import Store


class Health:
    """`/healthz`, `/readyz`, `/metrics`.

    `working` says whether durable work has started. `conditions` are asked when the database answers: each says "ready" or what is wrong.
    """

    def __init__(
        self, store: Store, working: Callable[[], bool], metrics: Metrics, conditions: Mapping[str, Callable[[Connection], str]]
    ) -> None:
        self._store = store
        self._working = working
        self._conditions = conditions
        self._metrics = metrics

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in ("GET", "PUT", "POST", "PATCH", "DELETE", "HEAD") else "other"
        self._metrics.count("isthmus_http_requests_total", known, str(status))
        self._metrics.time("isthmus_http_request_seconds", seconds, known)

    def alive(self, _incoming: Incoming) -> Reply:
        """200 while the process answers at all."""
        return Reply(body={"status": "alive"})

    def ready(self, _incoming: Incoming) -> Reply:
        """200 when the database answers, jobs run and every condition holds; otherwise 503 that names what is missing."""
        parts = {**self._database(), "jobs": "ready" if self._working() else "not started"}
        fine = all(state == "ready" for state in parts.values())
        return Reply(status=200 if fine else 503, body={"status": "ready" if fine else "not ready", **parts})

    def _database(self) -> dict[str, str]:
        try:
            with self._store.read() as connection:
                connection.execute(text("select 1"))
                return {"database": "ready", **{name: ask(connection) for name, ask in self._conditions.items()}}
        except ArmError as error:
            return {"database": error.message}

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text. In a thread, since the database is asked."""
        return Response(await run_in_threadpool(generate_latest, self._metrics.registry), media_type=CONTENT_TYPE_LATEST)
