"""What a decision asks for: resources to put and delete, an operation to open, jobs to start. Pure data; the engine makes it true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOrder:
    """A durable job to start with the transaction. `id` is deterministic: the same order twice is one job.

    Jobs of one `partition` run one after another.
    """

    job: str
    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    delay_seconds: float = 0
    partition: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationOrder:
    """A long-running operation to open: `id` is what clients poll, `kind` what it does, `location` the region in its URL.

    `done` says that the work lies in this very transaction, so that the operation has succeeded when the client first asks.
    """

    id: str
    resource: ResourceId
    kind: str
    location: str = "global"
    done: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """All that one request does. `deletes` take everything below them along."""

    puts: tuple[Resource, ...] = ()
    deletes: tuple[ResourceId, ...] = ()
    operation: OperationOrder | None = None
    jobs: tuple[JobOrder, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
