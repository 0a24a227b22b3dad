"""Where everything meets: settings become an ASGI application, its worker, and the clouds they use."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Connection
from starlette.applications import Starlette

from isthmus.api import site
from isthmus.api.access import Access
from isthmus.api.agents import Agents
from isthmus.api.arm import Arm
from isthmus.api.directory import Directory
from isthmus.api.frame import Frame
from isthmus.api.health import Health
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, subscription_id
from isthmus.arm.types import Actor
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.shell import AwsShell
from isthmus.clouds.aws.wire import Wire
from isthmus.engine import Engine, Lookup, Removal
from isthmus.engine.installation import Installation, settle
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.clients import register_operator
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.issuer import AccountTokens, Issuer, api_issuer, aws_issuer, record_keys
from isthmus.identity.roles import OWNER, definition
from isthmus.identity.tokens import TokenEndpoint
from isthmus.keys import KeyRing, LocalAuthority, operator_signer
from isthmus.machines import Machines, registration
from isthmus.providers import Ground, registry
from isthmus.providers.authorization import ASSIGNMENTS
from isthmus.providers.resources import delete_group
from isthmus.settings import Settings
from isthmus.solutions import inventory, onboarding
from isthmus.solutions.connectors import Connectors
from isthmus.solutions.inventory import Inventory
from isthmus.solutions.loop import Loop
from isthmus.solutions.onboard.report import inventory_items
from isthmus.solutions.onboarding import Onboarding
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

    `authority` made the certificate that clients are to trust.
    """

    asgi: Starlette
    engine: Engine
    work: Work
    authority: LocalAuthority
    installation: Installation
    public_url: str
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


def build(settings: Settings, *, port: int, environ: Mapping[str, str] = os.environ) -> Application:
    """Open the store, mint what a first start mints, and put the parts together. `port` is the one that is listened on."""
    public_url = settings.public_url.rstrip("/") or f"https://localhost:{port}"
    store = Store(settings.database, busy_seconds=settings.database_wait_seconds)
    store.migrate()
    ground = settle(store, new_guid, tenant=settings.tenant_id, subscription=settings.subscription_id)
    keys = settings.data_folder / "keys"
    authority = LocalAuthority(keys, clock=time.time)
    api = api_issuer(public_url, ground.tenant, KeyRing(keys, "api", clock=time.time), time.time)
    aws = aws_issuer(settings.issuer_url, KeyRing(keys, "aws", clock=time.time), time.time)

    later = _Later()
    engine = Engine(store, later, clock=time.time, new_guid=new_guid)
    lookup = Lookup(store)
    loop = Loop()
    wire = Wire(environ=environ, clock=time.time)
    sessions = Sessions(wire, AccountTokens(aws), Pacer(time.monotonic), time.time)
    scanner, shell = AwsScanner(sessions), AwsShell(sessions)
    solutions = {kind.id: kind for kind in (inventory.SOLUTION, onboarding.SOLUTION)}
    machines = Machines(engine=engine, tenant=ground.tenant, public_url=public_url)
    connectors = Connectors(engine=engine, lookup=lookup, scanner=scanner, loop=loop, solutions=solutions)
    stock = Inventory(engine=engine, lookup=lookup, scanner=scanner, loop=loop)
    joining = Onboarding(
        engine=engine,
        lookup=lookup,
        scanner=scanner,
        shell=shell,
        loop=loop,
        machines=machines,
        ca=authority.ca_pem.decode(),
    )
    engine.arrivals = {registration.MACHINES.lower(): lambda connection, came: registration.follow(connection, came, new_guid)}
    engine.removals = _together(stock.removals, joining.removals)
    work = Work(
        store,
        jobs=[delete_group(engine, lookup), connectors.test_job(), stock.job(), *joining.jobs()],
        queues=QUEUES,
        timetables=[connectors.timetable(), *joining.timetables(), _rotation(store, (api.ring, aws.ring))],
        clock=time.time,
        keep_days=settings.keep_days,
    )
    work.migrate()
    later.work = work
    _first_start(engine, ground, operator_pem=operator_signer(keys).public_pem, rings=(api.ring, aws.ring))

    verifier = BearerVerifier(api, tenant=ground.tenant, audience=public_url, clock=time.time)
    access = Access(store, verifier, public_url=public_url, tenant=ground.tenant)
    table = registry(
        Ground(
            engine=engine,
            lookup=lookup,
            tenant=ground.tenant,
            public_url=public_url,
            issuer_url=settings.issuer_url,
            solutions=solutions,
            ledger=lambda solution: inventory_items(store, solution),
        )
    )
    health = Health(store, lambda: work.is_running)

    def close() -> None:
        work.stop()
        loop.run(wire.close())
        loop.close()
        store.close()

    asgi = site.build(
        arm=Arm(registry=table, engine=engine, lookup=lookup, access=access, tenant=ground.tenant, new_guid=new_guid),
        directory=_directory(store, engine, api, aws, public_url, ground),
        agents=Agents(machines, access),
        health=health,
        frame=Frame(public_url=public_url, hosts=_hosts(public_url, port), observe=health.observe),
        launch=work.launch,
        close=close,
    )
    return Application(asgi=asgi, engine=engine, work=work, authority=authority, installation=ground, public_url=public_url, close=close)


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


def _directory(store: Store, engine: Engine, api: Issuer, aws: Issuer, public_url: str, ground: Installation) -> Directory:
    tokens = TokenEndpoint(store, api, tenant=ground.tenant, public_url=public_url, clock=time.time, foreign=IssuerKeys(_fetch, time.time))
    return Directory(
        engine=engine, tokens=tokens, api=api, aws=aws, public_url=public_url, tenant=ground.tenant, admin=ground.admin, new_guid=new_guid
    )


def _first_start(engine: Engine, ground: Installation, *, operator_pem: str, rings: tuple[KeyRing, ...]) -> None:
    """The operator's key is registered at every start; rights and the default subscription are given at the first one only."""
    with engine.store.begin() as connection:
        operator = register_operator(connection, operator_pem, engine.clock)
        for ring in rings:
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


def _fetch(url: str) -> bytes:
    """Documents of foreign issuers: no redirects, five seconds."""
    try:
        answer = httpx.get(url, timeout=5.0, follow_redirects=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
    return answer.content


def _rotation(store: Store, rings: tuple[KeyRing, ...]) -> Timetable:
    """Hourly: a signing key that has served for 90 days gives way to the next one."""

    def rotate(_planned: datetime) -> None:
        for ring in rings:
            if ring.is_due(after=90 * 86_400):
                ring.rotate()
            with store.begin() as connection:
                record_keys(connection, ring)

    return Timetable(name="signing-keys", cron="0 17 * * * *", run=rotate)
