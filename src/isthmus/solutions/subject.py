"""A solution configuration with its connector, and how its status changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isthmus.access import federation
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.ids import parse_resource
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget
from isthmus.engine import Engine, Lookup

CONNECTORS = "Microsoft.HybridConnectivity/publicCloudConnectors"
CONFIGURATIONS = federation.CONFIGURATIONS

PENDING = "AuthorizationPending"
IN_PROGRESS = "InProgress"
COMPLETED = "Completed"
WITH_GAPS = "CompletedWithGaps"
FAILED = "Failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a sync works for."""

    solution: Resource
    connector: Resource

    @property
    def settings(self) -> Mapping[str, str]:
        """The stored settings, defaults included."""
        found: Mapping[str, str] = self.solution.properties["solutionSettings"]
        return found

    @property
    def target(self) -> ScanTarget:
        """Whom the cloud acts for."""
        return target_of(self.connector, self.solution.properties["solutionType"])


def target_of(connector: Resource, solution_type: str) -> ScanTarget:
    """A connector and a solution type as the cloud knows them."""
    return ScanTarget(
        account=connector.properties["awsCloudProfile"]["accountId"],
        guid=connector.properties["connectorPrimaryIdentifier"],
        solution=solution_type,
    )


def load(lookup: Lookup, solution: str) -> Subject | None:
    """The solution configuration of an id and its connector; None when either is gone."""
    found = lookup.find(solution)
    parent = parse_resource(solution).parent
    connector = lookup.find(parent) if parent is not None else None
    return Subject(solution=found, connector=connector) if found and connector else None


def report(
    engine: Engine, solution: str, actor: Actor, status: str, details: str, *, synced: bool = False, shown: Mapping[str, Any] | None = None
) -> None:
    """Set a solution's status and its sentence; `synced` also stamps `lastSyncTime`, `shown` are further properties, None removes one.
    Nothing happens when the solution is gone."""

    def decide(old: Resource | None) -> Change:
        if old is None:
            return Change()
        changed: dict[str, Any] = {"status": status, "statusDetails": details}
        if synced:
            changed["lastSyncTime"] = instant(engine.now())
        properties = {name: value for name, value in {**old.properties, **changed, **(shown or {})}.items() if value is not None}
        return Change(puts=(replace(old, properties=properties),), detail={"status": status})

    engine.write(parse_resource(solution), decide, actor, f"{CONFIGURATIONS}/status")
