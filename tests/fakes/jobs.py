"""Durable work that only remembers what was ordered, in the caller's transaction's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection


@dataclass
class RecordedJobs:
    """Fulfils `isthmus.work.Jobs`; the same id twice is one order."""

    orders: dict[str, tuple[str, Mapping[str, Any], str | None]] = field(default_factory=dict)

    def enqueue(
        self,
        connection: Connection,
        job: str,
        workflow_id: str,
        arguments: Mapping[str, Any],
        *,
        delay_seconds: float = 0,
        partition: str | None = None,
    ) -> None:
        """Remember an order."""
        assert connection.in_transaction() or connection.dialect.name == "sqlite"
        self.orders.setdefault(workflow_id, (job, arguments, partition))
