"""Where everything meets: settings become an ASGI application, its worker, and the clouds they use."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection
from starlette.applications import Starlette

from isthmus.api import site
from isthmus.api.access import Access
from isthmus.api.agents import Agents
from isthmus.api.arm import Arm
from isthmus.api.directory import Directory
from isthmus.api.entries import LinkEntry, ProviderEntry, SignIn
from isthmus.api.frame import Frame
from isthmus.api.health import Health
from isthmus.api.local import LocalTransport
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, subscription_id
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.client import Client
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.shell import AwsShell
from isthmus.clouds.aws.wire import Wire
from isthmus.engine import Engine, Lookup, Removal
from isthmus.engine.installation import Installation, settle
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.clients import register_operator
from isthmus.identity.configured import configured_openid
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.foreign import fetch
from isthmus.identity.issuer import AccountTokens, Issuer, api_issuer, aws_issuer, record_keys
from isthmus.identity.roles import OWNER, definition
from isthmus.identity.sessions import Sessions as BrowserSessions
from isthmus.identity.tokens import TokenEndpoint
from isthmus.keys import KeyRing, LocalAuthority, operator_signer
from isthmus.machines import Machines, registration
from isthmus.portal import Portal
from isthmus.providers import Ground, authorization, registry
from isthmus.providers.authorization import ASSIGNMENTS
from isthmus.providers.resources import delete_group
from isthmus.settings import Settings
from isthmus.solutions import inventory, onboarding
from isthmus.solutions.arrivals import Arrivals
from isthmus.solutions.connectors import Connectors
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.drift import Drift
from isthmus.solutions.inventory import Inventory
from isthmus.solutions.loop import Loop
from isthmus.solutions.onboard.report import inventory_items
from isthmus.solutions.onboarding import Onboarding
from isthmus.solutions.removal import Removals
from isthmus.solutions.retention import Retention
from isthmus.solutions.stock import Stock
from isthmus.store import Store
from isthmus.work import Arguments, Queue, Timetable, Work

QUEUES = (
    Queue(name="requests", worker_concurrency=4),
    Queue(name="scans", worker_concurrency=4, partitioned=True, polling_seconds=0.5),
    Queue(name="ticks", worker_concurrency=4, partitioned=True, polling_seconds=0.5),
)
SYSTEM = Actor(id="isthmus", kind="Application", name="Isthmus")


@dataclass(frozen=True, kw_only=True)
class Application:
    """A built program. Serving `asgi` launches durable work and closes everything at the end; who does not serve it calls `close`.

    `authority` made the certificate that clients are to trust; `sign_in` lets people in and out; `retire` ends the streams of live pages,
    from any thread, so that serving can end.
    """

    asgi: Starlette
    retire: Callable[[], None]
    engine: Engine
    work: Work
    authority: LocalAuthority
    installation: Installation
    public_url: str
    sign_in: SignIn
    close: Callable[[], None]


class _Later:
    """Jobs are declared with an engine that orders jobs; this is the knot."""

    def __init__(self) -> None:
        self.work: Work | None = None

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
        self.work.enqueue(connection, job, workflow_id, arguments, delay_seconds=delay_seconds, partition=partition)


@dataclass(frozen=True, kw_only=True)
class _Footing:
    """What outlives the process, opened: the store, the keys, and whom they make us."""

    public_url: str
    store: Store
    installation: Installation
    keys: Path
    authority: LocalAuthority
    api: Issuer
    aws: Issuer

    @property
    def rings(self) -> tuple[KeyRing, ...]:
        """The keys that sign tokens."""
        return self.api.ring, self.aws.ring


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """How AWS is reached: one loop, one caller with its connections, and what uses them."""

    loop: Loop
    wire: Wire
    scanner: AwsScanner
    shell: AwsShell


@dataclass(frozen=True, kw_only=True)
class _Core:
    """What changes state: the engine, the jobs it orders, the solution types that do them."""

    engine: Engine
    lookup: Lookup
    refusals: Refusals
    machines: Machines
    solutions: Mapping[str, SolutionType]
    work: Work


def build(settings: Settings, *, port: int, environ: Mapping[str, str] = os.environ) -> Application:
    """Open the store, mint what a first start mints, and put the parts together. `port` is the one that is listened on."""
    footing = _open(settings, port)
    reach = _reach(footing.aws, environ)
    core = _join(footing, reach, settings)
    _first_start(core.engine, footing)
    Stock(engine=core.engine).catch_up()
    tokens = _tokens(footing)
    sign_in = _sign_in(settings, footing, core, tokens)

    def close() -> None:
        core.work.stop()
        reach.loop.run(reach.wire.close())
        reach.loop.close()
        try:
            core.refusals.flush()
        finally:
            footing.store.close()

    asgi, retire = _face(
        footing,
        core,
        sign_in,
        directory=_directory(footing, core, tokens, sign_in),
        hosts=_hosts(footing.public_url, port),
        settings=settings,
        close=close,
    )
    return Application(
        asgi=asgi,
        retire=retire,
        engine=core.engine,
        work=core.work,
        authority=footing.authority,
        installation=footing.installation,
        public_url=footing.public_url,
        sign_in=sign_in,
        close=close,
    )


def _open(settings: Settings, port: int) -> _Footing:
    public_url = settings.public_url.rstrip("/") or f"https://localhost:{port}"
    store = Store(settings.database, busy_seconds=settings.database_wait_seconds)
    store.migrate()
    installation = settle(store, new_guid, tenant=settings.tenant_id, subscription=settings.subscription_id)
    keys = settings.data_folder / "keys"
    return _Footing(
        public_url=public_url,
        store=store,
        installation=installation,
        keys=keys,
        authority=LocalAuthority(keys, clock=time.time),
        api=api_issuer(public_url, installation.tenant, KeyRing(keys, "api", clock=time.time), time.time),
        aws=aws_issuer(settings.issuer_url, KeyRing(keys, "aws", clock=time.time), time.time),
    )


def _reach(issuer: Issuer, environ: Mapping[str, str]) -> _Reach:
    wire = Wire(environ=environ, clock=time.time)
    sessions = Sessions(wire, AccountTokens(issuer), Pacer(time.monotonic), time.time)
    return _Reach(loop=Loop(), wire=wire, scanner=AwsScanner(sessions), shell=AwsShell(sessions))


def _join(footing: _Footing, reach: _Reach, settings: Settings) -> _Core:
    later = _Later()
    engine, lookup = Engine(footing.store, later, clock=time.time, new_guid=new_guid), Lookup(footing.store)
    solutions = {kind.id: kind for kind in (inventory.SOLUTION, onboarding.SOLUTION)}
    refusals = Refusals(footing.store, time.time)
    machines = Machines(engine=engine, refusals=refusals, tenant=footing.installation.tenant, public_url=footing.public_url)
    connectors = Connectors(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop, solutions=solutions)
    stock = Inventory(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop)
    arrivals = Arrivals(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop)
    drift = Drift(engine=engine, lookup=lookup, scanner=reach.scanner, loop=reach.loop, issuer_url=settings.issuer_url)
    retention = Retention(engine=engine, keep_days=settings.keep_days)
    joining = Onboarding(
        engine=engine,
        lookup=lookup,
        scanner=reach.scanner,
        shell=reach.shell,
        loop=reach.loop,
        machines=machines,
        ca=footing.authority.ca_pem.decode(),
    )
    index = Stock(engine=engine)
    engine.arrivals = {
        **index.arrivals,
        registration.MACHINES.lower(): lambda connection, came: registration.follow(connection, came, new_guid),
    }
    engine.removals = _together(connectors.removals, stock.removals, joining.removals, index.removals, authorization.REMOVALS)
    work = Work(
        footing.store,
        jobs=[
            delete_group(engine, lookup),
            connectors.test_job(),
            Removals(engine=engine).job(),
            drift.job(),
            arrivals.job(),
            stock.job(),
            *joining.jobs(),
        ],
        queues=QUEUES,
        timetables=[
            connectors.timetable(),
            arrivals.timetable(),
            *joining.timetables(),
            retention.timetable(),
            _rotation(footing.store, footing.rings),
        ],
        clock=time.time,
        keep_days=settings.keep_days,
    )
    work.migrate()
    later.work = work
    return _Core(engine=engine, lookup=lookup, refusals=refusals, machines=machines, solutions=solutions, work=work)


def _face(
    footing: _Footing,
    core: _Core,
    sign_in: SignIn,
    *,
    directory: Directory,
    hosts: frozenset[str],
    settings: Settings,
    close: Callable[[], None],
) -> tuple[Starlette, Callable[[], None]]:
    """The routes of API and portal, and what ends the portal's streams."""
    store, public_url, tenant = footing.store, footing.public_url, footing.installation.tenant
    verifier = BearerVerifier(footing.api, tenant=tenant, audience=public_url, clock=time.time)
    access = Access(store, verifier, public_url=public_url, tenant=tenant)
    table = registry(
        Ground(
            engine=core.engine,
            lookup=core.lookup,
            tenant=tenant,
            public_url=public_url,
            issuer_url=settings.issuer_url,
            template_url=settings.template_url,
            solutions=core.solutions,
            ledger=lambda solution: inventory_items(store, solution),
            work=core.work,
            certificates=footing.authority.expiries,
        )
    )
    health = Health(store, lambda: core.work.is_running)
    arm = Arm(registry=table, engine=core.engine, lookup=core.lookup, access=access, tenant=tenant, new_guid=new_guid)
    frame = Frame(public_url=public_url, hosts=hosts, observe=health.observe)
    local = LocalTransport(frame, arm.answer, public_url)

    portal = Portal(
        sign_in=sign_in,
        call=lambda token: Client(public_url, token, transport=local),
        hosts=hosts,
        subscription=footing.installation.subscription,
        clock=time.time,
        observe=health.observe,
    )
    built = site.build(
        arm=arm,
        directory=directory,
        portal=portal.routes(),
        agents=Agents(core.machines, access),
        health=health,
        frame=frame,
        launch=core.work.launch,
        close=close,
    )
    return built, portal.hub.retire


def _together(*parts: Mapping[str, Removal]) -> dict[str, Removal]:
    """What ends with a resource, from every part that keeps something about it."""
    kinds = {kind for part in parts for kind in part}

    def chain(removals: list[Removal]) -> Removal:
        def remove(connection: Connection, keys: Sequence[str]) -> None:
            for removal in removals:
                removal(connection, keys)

        return remove

    return {kind: chain([part[kind] for part in parts if kind in part]) for kind in kinds}


def new_guid() -> str:
    """A random GUID."""
    return str(uuid.uuid4())


def _tokens(footing: _Footing) -> TokenEndpoint:
    return TokenEndpoint(
        footing.store,
        footing.api,
        tenant=footing.installation.tenant,
        public_url=footing.public_url,
        clock=time.time,
        foreign=IssuerKeys(fetch, time.time),
    )


def _directory(footing: _Footing, core: _Core, tokens: TokenEndpoint, sign_in: SignIn) -> Directory:
    return Directory(
        engine=core.engine,
        refusals=core.refusals,
        tokens=tokens,
        api=footing.api,
        aws=footing.aws,
        public_url=footing.public_url,
        tenant=footing.installation.tenant,
        links=sign_in.link,
        new_guid=new_guid,
    )


def _sign_in(settings: Settings, footing: _Footing, core: _Core, tokens: TokenEndpoint) -> SignIn:
    sessions = BrowserSessions(footing.store, tokens, time.time, idle_minutes=settings.session_idle_minutes, hours=settings.session_hours)
    link = LinkEntry(engine=core.engine, refusals=core.refusals, sessions=sessions, admin=footing.installation.admin)
    openid = configured_openid(settings, own=footing.api, public_url=footing.public_url, clock=time.time)
    provider = ProviderEntry(engine=core.engine, refusals=core.refusals, openid=openid) if openid else None
    return SignIn(sessions=sessions, link=link, provider=provider)


def _first_start(engine: Engine, footing: _Footing) -> None:
    """The operator's key is registered at every start; rights and the default subscription are given at the first one only."""
    ground = footing.installation
    with engine.store.begin() as connection:
        operator = register_operator(connection, operator_signer(footing.keys).public_pem, engine.clock)
        for ring in footing.rings:
            record_keys(connection, ring)
        if not ground.is_new:
            return
        owners = tuple(_owner(principal, kind) for principal, kind in ((operator.object_id, "ServicePrincipal"), (ground.admin, "User")))
        home = Resource(id=subscription_id(ground.subscription), properties={"displayName": "Isthmus"})
        change = Change(puts=(home, *owners), detail={"tenant": ground.tenant})
        engine.apply_within(connection, change, SYSTEM, "installation/write", "/")


def _owner(principal: str, kind: str) -> Resource:
    properties: dict[str, Any] = {
        "roleDefinitionId": definition(OWNER)["id"],
        "principalId": principal,
        "principalType": kind,
        "scope": "/",
    }
    namespace, _, name = ASSIGNMENTS.partition("/")
    id = ResourceId(None, namespace, (name,), (new_guid(),))
    return Resource(id=id, properties=properties, unique=f"assignment:{principal}:{OWNER.id}:/", source=f"principal:{principal}")


def _hosts(public_url: str, port: int) -> frozenset[str]:
    """Names under which requests may come; links repeat them."""
    return frozenset({urlsplit(public_url).netloc, *(f"{host}:{port}" for host in ("localhost", "127.0.0.1", "[::1]"))})


def _rotation(store: Store, rings: tuple[KeyRing, ...]) -> Timetable:
    """Hourly: a signing key that has served for 90 days gives way to the next one."""

    def rotate(_planned: datetime) -> None:
        for ring in rings:
            if ring.is_due(after=90 * 86_400):
                ring.rotate()
            with store.begin() as connection:
                record_keys(connection, ring)

    return Timetable(name="signing-keys", cron="0 17 * * * *", run=rotate)
