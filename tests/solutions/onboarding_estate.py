"""An AWS account of tests: hosts with agents, Run Command that answers later, jobs that run when their time comes."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import group_id
from isthmus.audit import Refusals
from isthmus.clouds.aws.template.document import check_parameters
from isthmus.clouds.contract import Instance, InvalidInstances, Invocation, ManagedNode, ScanTarget
from isthmus.engine import Engine, Lookup
from isthmus.machines import Machines
from isthmus.solutions import onboarding
from isthmus.solutions.loop import Loop
from isthmus.solutions.onboard.report import inventory_items
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS
from isthmus.store import Store
from isthmus_agent.keys import Key
from tests.machines.plane import SUBSCRIPTION, TENANT, TESTER, URL, Keys, engine_on
from tests.support.clock import Clock

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CA = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Host:
    """One instance. `faults` maps a verb to what its command answers instead: (status, detail, exit code, output)."""

    id: str
    number: int
    state: str = "running"
    ping: str = "Online"
    profile: str = "arn:aws:iam::123456789012:instance-profile/p"
    imds: bool = True
    tags: dict[str, str] = field(default_factory=dict)
    faults: dict[str, tuple[str, str, int, str]] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    listed: bool = True
    vm_id: str = ""


@dataclass
class _Command:
    id: str
    comment: str
    at: float
    parameters: Mapping[str, str]
    results: dict[str, Invocation] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


class Line:
    """Durable jobs: what committed transactions ordered, each id once, run in the order of their times."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ids: set[str] = set()
        self._heap: list[tuple[float, int, str, str, Mapping[str, Any]]] = []
        self._numbers = itertools.count()

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
        assert partition
        order = (self.clock() + delay_seconds, next(self._numbers), workflow_id, job, dict(arguments))

        def commit(_connection: Connection) -> None:
            if workflow_id not in self.ids:
                self.ids.add(workflow_id)
                heapq.heappush(self._heap, order)

        event.listen(connection, "commit", commit)

    def due(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> tuple[str, Mapping[str, Any]]:
        _, _, _, job, arguments = heapq.heappop(self._heap)
        return job, arguments


class Estate:
    """Fulfils Shell and Scanner; `latency` is how many seconds a command takes on a host."""

    def __init__(self, clock: Clock, keys: Keys, *, latency: float = 0.5) -> None:
        self.clock = clock
        self.keys = keys
        self.latency = latency
        self.hosts: dict[str, Host] = {}
        self.calls: Counter[str] = Counter()
        self.commands: dict[str, _Command] = {}
        self.machines: Machines | None = None
        self.invalid: set[str] = set()
        self.names_invalid = True
        self.regions_enabled = [REGION]
        self.failing: dict[str, list[Exception]] = {}
        self.at_point: Callable[[str], None] = lambda _point: None
        self.untrusted = ""
        self._next_key = itertools.count()
        self._pumping = threading.Lock()

    def host(self, number: int, **values: Any) -> Host:
        made = Host(id=f"i-{number:017x}", number=number, **values)
        self.hosts[made.id] = made
        return made

    async def check(self, _target: ScanTarget) -> None:
        if self.untrusted:
            raise PermissionError(self.untrusted)

    def scan(self, *_: object) -> Any:
        raise NotImplementedError

    def _call(self, name: str) -> None:
        self.at_point(f"before {name}")
        self.calls[name] += 1
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    async def regions(self, _target: ScanTarget, wanted: Collection[str] | None) -> Sequence[str]:
        self._call("regions")
        return [region for region in self.regions_enabled if wanted is None or region in wanted]

    async def instances(self, target: ScanTarget, region: str) -> Sequence[Instance]:
        self._call("instances")
        return [
            Instance(
                id=host.id,
                account=target.account,
                region=region,
                state=host.state,
                launch_time="2026-01-01T00:00:00+00:00",
                tags=host.tags,
                platform="linux",
                architecture="x86_64",
                image_id="ami-1",
                profile_arn=host.profile,
                imds_enabled=host.imds,
            )
            for host in self.hosts.values()
            if host.listed and region == REGION
        ]

    async def nodes(self, _target: ScanTarget, region: str) -> Mapping[str, ManagedNode]:
        self._call("nodes")
        return {
            host.id: ManagedNode(
                id=host.id,
                ping=host.ping,
                agent_version="3.3",
                platform_type="Linux",
                platform_name="Amazon Linux",
                platform_version="2023",
                last_ping="",
            )
            for host in self.hosts.values()
            if host.listed and host.ping and region == REGION
        }

    async def send(
        self,
        _target: ScanTarget,
        _region: str,
        instance_ids: Sequence[str],
        parameters: Mapping[str, str],
        *,
        comment: str,
        timeout: int,  # noqa: ASYNC109  a limit that AWS keeps
    ) -> str:
        self._call("send")
        check_parameters(parameters)
        assert 1 <= len(instance_ids) <= 50
        assert len(comment) <= 100
        assert timeout >= 30
        refused = [id for id in instance_ids if id in self.invalid]
        if refused:
            raise InvalidInstances(refused if self.names_invalid else [], "not in a valid state")
        name = f"command-{len(self.commands)}"
        self.commands[name] = _Command(id=name, comment=comment, at=self.clock(), parameters=parameters, waiting=set(instance_ids))
        self.at_point("after send")
        return name

    async def recent(self, _target: ScanTarget, _region: str, since: str) -> Mapping[str, str]:
        self._call("recent")
        assert since.endswith("Z")
        return {command.comment: command.id for command in reversed(list(self.commands.values()))}

    async def invocations(self, _target: ScanTarget, _region: str, command_id: str) -> Sequence[Invocation]:
        self._call("invocations")
        self.pump()
        command = self.commands[command_id]
        running = [Invocation(instance_id=id, status="InProgress", detail="InProgress", exit_code=-1, output="") for id in command.waiting]
        return [*command.results.values(), *running]

    async def cancel(self, *_: object) -> None:
        self._call("cancel")

    def pump(self) -> None:
        """Let hosts do what was sent to them, once its time has come."""
        with self._pumping:
            self._pump()

    def _pump(self) -> None:
        for command in list(self.commands.values()):
            if self.clock() < command.at + self.latency:
                continue
            for id in sorted(command.waiting):
                host = self.hosts[id]
                if host.state != "running":
                    if self.clock() >= command.at + 120:
                        command.results[id] = Invocation(
                            instance_id=id, status="TimedOut", detail="DeliveryTimedOut", exit_code=-1, output=""
                        )
                    continue
                command.results[id] = self._run(host, command)
            command.waiting -= set(command.results)

    def _run(self, host: Host, command: _Command) -> Invocation:
        action = command.parameters["action"]
        fault = host.faults.get(action)
        if fault:
            status, detail, code, output = fault
            return Invocation(instance_id=host.id, status=status, detail=detail, exit_code=code, output=output)
        if action == "genkey":
            key = self.key_of(host, command.parameters["generation"])
            output = f"-----BEGIN ISTHMUS KEY-----\n{key.public}\n-----END ISTHMUS KEY-----\n"
            return Invocation(instance_id=host.id, status="Success", detail="Success", exit_code=0, output=output)
        pairs = dict(pair.split("=") for pair in command.parameters["machines"].split(";"))
        code, output = self._connect(host, pairs[host.id], command.parameters)
        status = "Success" if code == 0 else "Failed"
        return Invocation(instance_id=host.id, status=status, detail=status, exit_code=code, output=output)

    def key_of(self, host: Host, generation: str) -> Key:
        """The key a host makes once per generation."""
        if generation not in host.keys:
            host.keys[generation] = self.keys[next(self._next_key)]
        return host.keys[generation]

    def _connect(self, host: Host, vm_id: str, parameters: Mapping[str, str]) -> tuple[int, str]:
        assert self.machines is not None
        group = group_id(parameters["subscriptionId"], parameters["resourceGroup"])
        resource = str(group.extension("Microsoft.HybridCompute/machines", host.id))
        key = host.keys[parameters["generation"]]
        try:
            nonce = self.machines.challenge({"vmId": vm_id})["nonce"]
            extra = {"nonce": nonce, "resourceId": resource, "tenantId": parameters["tenantId"]}
            audience = f"{parameters['endpoint']}/agent/v1/enrol"
            statement = key.statement(kind="isthmus-enrol+jwt", subject=vm_id, audience=audience, now=self.clock(), extra=extra)
            self.machines.enrol({"statement": statement, "facts": {"osName": "linux"}})
        except ArmError as error:
            return (81 if error.code == "KeyMismatch" else 62), f"AZCM: {error}"
        host.vm_id = vm_id
        return 0, "connected"


_STARTS = itertools.count(1)


class World:
    """One solution over one estate, and the worker that runs its jobs."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        estate: Estate,
        loop: Loop,
        *,
        settings: Mapping[str, object] | None = None,
        account: str = ACCOUNT,
    ) -> None:
        self.clock, self.estate, self.loop, self.account = clock, estate, loop, account
        self.store = store
        self.line = Line(clock)
        self.engine = engine_on(store, clock, self.line, start=int(account) << 24)
        self.lookup = Lookup(store)
        self.group = group_id(SUBSCRIPTION, f"g{account}")
        self.connector = self.group.extension(CONNECTORS, "c")
        self.solution = self.connector.extension(CONFIGURATIONS, "onboard")
        self.app = self.start(store)
        self._create(settings or {})

    def start(self, store: Store) -> onboarding.Onboarding:
        """The program, as a fresh process has it."""
        self.engine = Engine(store, self.line, clock=self.clock, new_guid=self.engine.new_guid, removals=self.engine.removals)
        refusals = Refusals(self.store, self.clock)
        machines = Machines(engine=self.engine, refusals=refusals, tenant=TENANT, public_url=URL)
        # What machines write has ids of its own, whatever was written before a death.
        aside = engine_on(self.store, self.clock, self.line, start=next(_STARTS) << 100)
        quiet = Machines(engine=aside, refusals=refusals, tenant=TENANT, public_url=URL)
        self.estate.machines = quiet
        return onboarding.Onboarding(
            engine=self.engine,
            lookup=Lookup(store),
            scanner=self.estate,
            shell=self.estate,
            loop=self.loop,
            machines=machines,
            ca=CA,
            started=self.engine.now(),
        )

    def _create(self, settings: Mapping[str, object]) -> None:
        state = {"provisioningState": "Succeeded"}
        profile = {
            "awsCloudProfile": {"accountId": self.account},
            "connectorPrimaryIdentifier": f"{int(self.account):08d}"[-8:] + "-0000-4000-8000-000000000000",
        }
        kept = {
            "solutionType": onboarding.TYPE,
            "solutionId": f"s{self.account}",
            "solutionSettings": onboarding.SOLUTION.complete(settings),
            "status": "New",
            "statusDetails": "",
        }
        puts = (
            Resource(id=self.group, location="westeurope", properties=state),
            Resource(id=self.connector, location="westeurope", properties=state | profile, tags={"team": "a"}),
            Resource(id=self.solution, properties=kept),
        )
        self.engine.apply(Change(puts=puts), TESTER, "test", "world")

    def sync(self, mark: str = "1", **more: Any) -> Any:
        return self.app.sync({"solution": str(self.solution), "scan": f"s:{mark}", **more})

    def tick_once(self) -> bool:
        """Run the next job that was ordered, at its time."""
        due = self.line.due()
        if due is None:
            return False
        self.clock.now = max(self.clock.now, due)
        self.estate.pump()
        job, arguments = self.line.pop()
        {entry.name: entry for entry in self.app.jobs()}[job].run(arguments)
        return True

    def run(self, *, until: float = 60.0) -> int:
        """Run jobs and timetables for some seconds of the clock; how many ticks ran."""
        end, ticks = self.clock.now + until, 0
        while self.clock.now < end:
            due = self.line.due()
            if due is not None and due <= min(end, self.clock.now + 15):
                ticks += self.tick_once()
                assert ticks < 2000
                continue
            self.clock.now = min(end, self.clock.now + 15)
            self.estate.pump()
            self.app.mark_silent(None)  # type: ignore[arg-type]
            self.app.resume(None)  # type: ignore[arg-type]
        return ticks

    def items(self) -> dict[str, dict[str, Any]]:
        """The ledger by instance id."""
        return {item["name"]: item["properties"] for item in inventory_items(self.store, str(self.solution))}

    def item(self, host: Host) -> dict[str, Any]:
        return self.items()[host.id]

    def machine(self, host: Host) -> Resource | None:
        return self.lookup.find(group_id(SUBSCRIPTION, f"aws_{self.account}").extension("Microsoft.HybridCompute/machines", host.id))

    def status(self) -> tuple[str, str]:
        found = self.lookup.find(self.solution)
        assert found is not None
        return found.properties["status"], found.properties["statusDetails"]


def states(world: World) -> set[tuple[str, str]]:
    """The states and codes that its rows have."""
    return {(item["state"], item["code"]) for item in world.items().values()}
