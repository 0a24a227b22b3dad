"""The whole table: rows of every namespace, in one registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.access.broker import Broker
from isthmus.access.group_names import GroupNames
from isthmus.access.requests import Requests
from isthmus.arm.types import Registry
from isthmus.engine import Engine, Lookup
from isthmus.keys import Expiry
from isthmus.providers import (
    authorization,
    awsconnector,
    hybridcompute,
    inventory,
    issuers,
    isthmus,
    jobs,
    onboarding,
    operations,
    people,
    resources,
    scans,
    timeline,
)
from isthmus.providers.access import AccessTypes
from isthmus.providers.drafts import Drafts
from isthmus.providers.hybridconnectivity import HybridConnectivity
from isthmus.providers.insights import Insights
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.rotation import Rotation
from isthmus.work import JobBook


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What rows stand on.

    `ledger` lists the per-instance inventory of a solution configuration, `template_url` is the setting, `work` shows jobs, `certificates`
    says when ours end, `rotation` changes the keys that AWS trusts, `broker` gives people sessions, `requests` decides who gets roles for
    a time, `group_names` tells what groups are called.
    """

    engine: Engine
    lookup: Lookup
    tenant: str
    public_url: str
    issuer_url: str
    solutions: Mapping[str, SolutionType]
    ledger: Callable[[str], Iterable[Mapping[str, Any]]]
    template_url: str = ""
    work: JobBook
    broker: Broker
    requests: Requests
    group_names: GroupNames
    certificates: Callable[[], Sequence[Expiry]]
    rotation: Rotation


def registry(ground: Ground) -> Registry:
    """Every resource type of the product."""
    built: list[Registry] = []

    def table() -> Registry:
        return built[0]

    connectivity = HybridConnectivity(
        lookup=ground.lookup,
        solutions=ground.solutions,
        issuer_url=ground.issuer_url,
        ledger=ground.ledger,
        template_url=ground.template_url,
    )
    rows = [
        *resources.rows(ground.lookup, table, ground.tenant),
        *authorization.rows(ground.lookup, table),
        *connectivity.rows(),
        *Drafts(engine=ground.engine, lookup=ground.lookup, connectivity=connectivity).rows(),
        *hybridcompute.rows(ground.tenant),
        *awsconnector.rows(),
        *isthmus.rows(ground.engine, ground.public_url),
        issuers.row(ground.rotation),
        jobs.row(ground.work),
        *people.rows(ground.engine),
        *onboarding.table(ground.engine),
        *Insights(engine=ground.engine, work=ground.work, certificates=ground.certificates).rows(),
        *inventory.rows(ground.engine.store),
        *scans.rows(ground.engine.store),
        *AccessTypes(
            engine=ground.engine,
            lookup=ground.lookup,
            broker=ground.broker,
            requests=ground.requests,
            group_names=ground.group_names,
        ).rows(),
        timeline.row(ground.engine, ground.requests),
    ]
    versions = {row.namespace: row.versions for row in reversed(rows)}
    for namespace in sorted(versions):
        rows.append(resources.register(table, namespace))
        if not any(row.name == f"{namespace}/operations" for row in rows):
            rows.append(operations.listing(table, namespace, versions[namespace]))
    built.append(Registry(rows))
    return built[0]
