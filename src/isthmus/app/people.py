"""The parts that give people access to clouds and take it away."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.access.broker import Broker
from isthmus.access.enforcing import Enforcement
from isthmus.access.requests import Requests
from isthmus.access.running_as import RunAs
from isthmus.access.use import TrailUse
from isthmus.access.webhook import Webhook
from isthmus.app.entra import Following, follow, group_source
from isthmus.app.footing import Footing
from isthmus.clouds.aws.usage import load
from isthmus.clouds.azure.graph import Graph
from isthmus.clouds.contract import AccessCloud, TrailCloud, TrailFileCloud, TrustCloud
from isthmus.engine import Engine, Lookup
from isthmus.metrics import Metrics
from isthmus.settings import Settings
from isthmus.solutions.access import AccessSolution
from isthmus.solutions.linting import Linting
from isthmus.solutions.loop import Loop
from isthmus.solutions.trail import Trails
from isthmus.work import Job, Timetable

GLASS = "isthmus_break_glass_total"


@dataclass(frozen=True, kw_only=True)
class Clouds:
    """One cloud, by what is asked of it."""

    access: AccessCloud
    trust: TrustCloud
    trail: TrailCloud
    files: TrailFileCloud


@dataclass(frozen=True, kw_only=True)
class People:
    """Who gives sessions, who makes accounts deny, the solution that keeps both in line, who gives roles for a time, who judges what else
    accounts trust, and who follows Entra."""

    broker: Broker
    enforcement: Enforcement
    solution: AccessSolution
    requests: Requests
    linting: Linting
    trails: Trails
    following: Following | None

    def jobs(self) -> Sequence[Job]:
        """Their jobs."""
        own = (self.solution.job(), self.enforcement.job(), self.linting.job(), self.trails.job())
        told = (self.requests.webhook.job(),) if self.requests.webhook else ()
        return [*own, *told, *(self.following.jobs() if self.following else ())]

    def timetables(self) -> Sequence[Timetable]:
        """What they do by the clock."""
        own = (self.enforcement.timetable(), self.requests.timetable(), self.trails.timetable())
        return [*own, *(self.following.timetables() if self.following else ())]


def join_people(
    engine: Engine,
    lookup: Lookup,
    metrics: Metrics,
    settings: Settings,
    *,
    clouds: Clouds,
    loop: Loop,
    footing: Footing,
    graph: Graph | None,
) -> People:
    """The parts over one engine, one cloud, the issuer that accounts trust, and Graph where Entra is asked."""
    issuer = footing.aws
    broker = Broker(
        engine=engine,
        lookup=lookup,
        cloud=clouds.access,
        run=loop.run,
        groups=group_source(settings, engine.store, graph),
        issuer=issuer,
        new_id=new_grant_id,
        machines=RunAs(domains=frozenset(settings.run_as_domains.lower().replace(" ", "").split(",")) - {""}, issuer=settings.oidc_issuer),
        used=TrailUse(store=engine.store, lookup=lookup, usage=load(), now=engine.now),
    )
    metrics.count(GLASS, by=0)
    webhook = None
    if settings.notice_url_file is not None:
        webhook = Webhook(
            engine=engine, file=settings.notice_url_file, issuer=footing.api, portal=footing.public_url, mapping=broker.mapping
        )
    return People(
        broker=broker,
        requests=Requests(engine=engine, broker=broker, count_glass=lambda: metrics.count(GLASS), webhook=webhook),
        enforcement=Enforcement(engine=engine, lookup=lookup, cloud=clouds.access, run=loop.run, issuer=issuer),
        solution=AccessSolution(engine=engine, lookup=lookup, cloud=clouds.access, loop=loop, issuer_url=issuer.url),
        linting=Linting(engine=engine, lookup=lookup, cloud=clouds.trust, loop=loop),
        trails=Trails(engine=engine, lookup=lookup, cloud=clouds.trail, loop=loop, issuer_url=issuer.url, files=clouds.files),
        following=follow(engine, lookup, settings, graph) if graph is not None else None,
    )


def new_grant_id() -> str:
    """G and 80 random bits, in letters and digits that tags and people can carry."""
    return f"G-{base64.b32encode(secrets.token_bytes(10)).decode()}"
