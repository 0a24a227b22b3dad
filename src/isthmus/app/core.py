"""What changes state: the engine, the jobs it orders, the solution types that do them, and how AWS is reached."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from isthmus.access.broker import Broker
from isthmus.access.enforcing import QUEUES as ACCESS_QUEUES
from isthmus.access.entra.checking import QUEUES as DIRECTORY_QUEUES
from isthmus.access.forgetting import Forgetting
from isthmus.access.group_names import GroupNames
from isthmus.access.requests import Requests
from isthmus.access.webhook import QUEUES as WEBHOOK_QUEUES
from isthmus.api import figures
from isthmus.app.entra import Following, names_of_groups, open_graph
from isthmus.app.footing import Footing, new_guid
from isthmus.app.people import Clouds, join_people
from isthmus.audit import Refusals
from isthmus.clouds.aws.access import AwsAccess
from isthmus.clouds.aws.exchange import AwsTokenTrial
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.shell import AwsShell
from isthmus.clouds.aws.trail import AwsTrail
from isthmus.clouds.aws.trustlint import AwsTrust
from isthmus.clouds.aws.wire import Wire
from isthmus.clouds.azure.graph import Graph
from isthmus.engine import Engine, Lookup, Removal
from isthmus.identity.issuer import AccountTokens, Issuer
from isthmus.machines import Machines, registration
from isthmus.metrics import Metrics
from isthmus.providers import authorization
from isthmus.providers.resources import delete_group
from isthmus.settings import Settings
from isthmus.solutions import access, inventory, onboarding
from isthmus.solutions.arrivals import Arrivals
from isthmus.solutions.connectors import Connectors
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.drift import Drift
from isthmus.solutions.inventory import Inventory
from isthmus.solutions.loop import Loop
from isthmus.solutions.onboarding import Onboarding
from isthmus.solutions.removal import Removals
from isthmus.solutions.retention import Retention
from isthmus.solutions.rotation import Rotation
from isthmus.solutions.stock import Stock
from isthmus.tracing import PARENT, Tracing
from isthmus.work import Arguments, Queue, Work

QUEUES = (
    Queue(name="requests", worker_concurrency=4),
    Queue(name="scans", worker_concurrency=4, partitioned=True, polling_seconds=0.5),
    Queue(name="ticks", worker_concurrency=4, partitioned=True, polling_seconds=0.5),
    Queue(name="trails", worker_concurrency=2, partitioned=True, polling_seconds=1.0),
    *ACCESS_QUEUES,
    *DIRECTORY_QUEUES,
    *WEBHOOK_QUEUES,
)


class _Later:
    """Jobs are declared with an engine that orders jobs; this is the knot."""

    def __init__(self, tracing: Tracing | None) -> None:
        self.work: Work | None = None
        self._tracing = tracing

    def enqueue(
        self,
        connection: Connection,
        job: str,
        workflow_id: str,
        arguments: Arguments,
        *,
        delay_seconds: float = 0,
        partition: str | None = None,
    ) -> None:
        """See `isthmus.work.Jobs`."""
        assert self.work is not None
        if self._tracing is not None and (parent := self._tracing.parent):
            arguments = {**arguments, PARENT: parent}
        self.work.enqueue(connection, job, workflow_id, arguments, delay_seconds=delay_seconds, partition=partition)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How AWS is reached: one loop, one caller with its connections, and what uses them."""

    loop: Loop
    wire: Wire
    pacer: Pacer
    scanner: AwsScanner
    shell: AwsShell
    trial: AwsTokenTrial
    people: Clouds


@dataclass(frozen=True, kw_only=True)
class Core:
    """The parts that change state."""

    engine: Engine
    lookup: Lookup
    refusals: Refusals
    machines: Machines
    solutions: Mapping[str, SolutionType]
    index: Stock
    broker: Broker
    requests: Requests
    group_names: GroupNames
    rotation: Rotation
    graph: Graph | None
    following: Following | None
    work: Work


def reach_aws(issuer: Issuer, environ: Mapping[str, str], tracing: Tracing | None) -> Reach:
    """AWS by its own settings in `environ`."""
    wire = Wire(environ=environ, clock=time.time, trace=tracing.aws if tracing else None)
    pacer = Pacer(time.monotonic)
    sessions = Sessions(wire, AccountTokens(issuer), pacer, time.time)
    trails = AwsTrail(sessions)
    return Reach(
        loop=Loop(),
        wire=wire,
        pacer=pacer,
        scanner=AwsScanner(sessions),
        shell=AwsShell(sessions),
        trial=AwsTokenTrial(sessions),
        people=Clouds(access=AwsAccess(sessions), trust=AwsTrust(sessions, time.time), trail=trails, files=trails),
    )


def join(footing: Footing, reach: Reach, metrics: Metrics, settings: Settings, tracing: Tracing | None) -> Core:
    """Declare every job and timetable, and who follows when resources come and go."""
    later = _Later(tracing)
    engine, lookup = Engine(footing.store, later, clock=time.time, new_guid=new_guid), Lookup(footing.store)
    solutions = {kind.id: kind for kind in (inventory.SOLUTION, onboarding.SOLUTION, access.SOLUTION)}
    refusals = Refusals(footing.store, time.time)
    machines = Machines(engine=engine, refusals=refusals, tenant=footing.installation.tenant, public_url=footing.public_url)
    connectors = Connectors(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop, solutions=solutions)
    observe = figures.note_scan(metrics, tracing)
    stock = Inventory(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop, observe=observe)
    arrivals = Arrivals(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop)
    index = Stock(engine=engine)
    drift = Drift(
        engine=engine, lookup=lookup, scanner=reach.scanner, trust=reach.people.trust, loop=reach.loop, issuer_url=settings.issuer_url
    )
    joining = _onboarding(engine, lookup, reach, machines, footing, settings)
    graph = open_graph(settings, footing.aws, metrics)
    people = join_people(engine, lookup, metrics, settings, clouds=reach.people, loop=reach.loop, footing=footing, graph=graph)
    rotation = _rotation(engine, lookup, reach, footing, settings)
    engine.arrivals = {
        **index.arrivals,
        **people.solution.arrivals,
        registration.MACHINES.lower(): lambda connection, came: registration.follow(connection, came, new_guid),
    }
    engine.removals = _together(
        connectors.removals, stock.removals, joining.removals, index.removals, people.solution.removals, authorization.REMOVALS
    )
    own = (delete_group(engine, lookup), Removals(engine=engine).job())
    retention = Retention(engine=engine, keep_days=settings.keep_days)
    forgetting = Forgetting(engine=engine, keep_days=settings.keep_trail_days)
    work = Work(
        footing.store,
        jobs=[*own, connectors.test_job(), drift.job(), arrivals.job(), stock.job(), *joining.jobs(), *people.jobs()],
        queues=QUEUES,
        timetables=[one.timetable() for one in (connectors, arrivals, retention, forgetting)]
        + [*people.timetables(), *joining.timetables(), footing.rotation(rotation.may_switch), footing.proof()],
        clock=time.time,
        keep_days=settings.keep_days,
        around=figures.timed(metrics, tracing),
    )
    work.migrate()
    later.work = work
    return Core(
        engine=engine,
        lookup=lookup,
        refusals=refusals,
        machines=machines,
        solutions=solutions,
        index=index,
        broker=people.broker,
        requests=people.requests,
        group_names=names_of_groups(engine.store, graph),
        rotation=rotation,
        graph=graph,
        following=people.following,
        work=work,
    )


def _rotation(engine: Engine, lookup: Lookup, reach: Reach, footing: Footing, settings: Settings) -> Rotation:
    return Rotation(
        engine=engine,
        lookup=lookup,
        issuer=footing.aws,
        publication=footing.publication(settings.issuer_address),
        trial=reach.trial,
        run=reach.loop.run,
    )


def _onboarding(engine: Engine, lookup: Lookup, reach: Reach, machines: Machines, footing: Footing, settings: Settings) -> Onboarding:
    return Onboarding(
        engine=engine,
        lookup=lookup,
        scanner=reach.scanner,
        shell=reach.shell,
        loop=reach.loop,
        machines=machines,
        ca=footing.authority.ca_pem.decode(),
        started=engine.now(),
        keep_event_days=settings.keep_event_days,
    )


def _together(*parts: Mapping[str, Removal]) -> dict[str, Removal]:
    """What ends with a resource, from every part that keeps something about it."""
    kinds = {kind for part in parts for kind in part}

    def chain(removals: list[Removal]) -> Removal:
        def remove(connection: Connection, keys: Sequence[str]) -> None:
            for removal in removals:
                removal(connection, keys)

        return remove

    return {kind: chain([part[kind] for part in parts if kind in part]) for kind in kinds}
