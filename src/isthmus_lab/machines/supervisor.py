"""Plays systemd and the SSM agent for every machine: boots what runs in EC2, stops what was stopped, runs scripts, injects faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from isthmus_lab.machines import faults, roots, scripts
from isthmus_lab.machines.machine import Machine
from isthmus_lab.machines.manageability import Manageability
from isthmus_lab.machines.nursery import Nursery
from isthmus_lab.machines.scripts import Outcome, Script
from isthmus_lab.world import Instance, Response, World

log = logging.getLogger(__name__)

PARALLEL = 6
"""Scripts that run at the same time on all machines together; the lab shares a few cores with everything else."""
PERIOD = 0.25
"""Seconds between two looks at EC2, at least."""
MOST = 1000
"""Machines that are booted unasked; further ones boot when a script is sent to them. A service takes about 5 MB."""
RESTART = 2.0
"""Seconds before a service that ended by itself is started again."""


class Machines:
    """All machines of all accounts. Only instances that SSM can reach are booted: no other could ever run anything."""

    def __init__(self, state_dir: Path, world: World) -> None:
        self._folder = state_dir / "machines"
        self._world = world
        self._manageable = Manageability(world)
        self.nursery = Nursery(state_dir / "zygote")
        self._machines: dict[str, Machine] = {}
        self._slots = asyncio.Semaphore(PARALLEL)
        self._changing = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._facts: list[Callable[[str], Mapping[str, object]]] = []

    async def start(self) -> None:
        """Start the parent process and follow EC2 from now on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await self.nursery.start()
        self._watch = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stop every process of every machine; root folders stay."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        self._machines.clear()
        await self.nursery.stop()

    def tell(self, facts: Callable[[str], Mapping[str, object]]) -> None:
        """Show more members in a machine's record; `facts` gets the instance's id."""
        self._facts.append(facts)

    async def reset(self) -> None:
        """Stop all machines and erase their disks."""
        async with self._changing:
            machines = list(self._machines.values())
            self._machines.clear()
            await asyncio.gather(*(machine.halt() for machine in machines))
        for machine in machines:
            roots.erase(machine.root)

    def machine(self, instance_id: str) -> Machine | None:
        """The machine of a booted instance."""
        return self._machines.get(instance_id)

    def manageable(self, instance: Instance) -> bool:
        """Whether SSM can reach the instance."""
        return self._manageable.of(instance)

    async def _follow(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.sync()
            except Exception:  # the border of a job: one bad look at EC2 must not end all machines
                log.exception("The machines could not be brought in line with EC2; trying again.")
            await asyncio.sleep(max(PERIOD, 10 * (time.monotonic() - began)))

    async def sync(self) -> None:
        """Bring machines in line with EC2: boot, halt, erase, and restart services that ended."""
        async with self._changing:
            await self.nursery.start()  # nothing to do unless it died
            present = {instance.instance_id: instance for instance in self._world.every_instance()}
            for instance in present.values():
                machine = self._machines.get(instance.instance_id)
                if machine is None:
                    if len(self._machines) < MOST and self._manageable.of(instance):
                        await self._boot(instance)
                elif instance.state in ("stopping", "stopped"):
                    del self._machines[instance.instance_id]
                    await machine.halt()
                else:
                    machine.instance = instance
                    await self._keep_service(machine)
            for instance_id in self._machines.keys() - present.keys():
                machine = self._machines.pop(instance_id)
                await machine.halt()
                roots.erase(machine.root)

    async def _boot(self, instance: Instance) -> Machine:
        root = self._folder / instance.instance_id
        roots.prepare(root, instance, self.nursery.folder)
        machine = Machine(instance=instance, root=root, booted_at=self._world.clock())
        await machine.start_service(self.nursery)
        self._machines[instance.instance_id] = machine
        return machine

    async def _keep_service(self, machine: Machine) -> None:
        if machine.agent_stopped or machine.vanished or machine.served:
            machine.ended_at = 0.0
        elif not machine.ended_at:
            machine.ended_at = time.monotonic()
        elif time.monotonic() - machine.ended_at > RESTART:
            await machine.start_service(self.nursery)

    async def run(self, script: Script) -> Outcome:
        """Run a script on its machine. `lost` when the machine stopped, vanished or is not there."""
        machine = self._machines.get(script.instance.instance_id)
        if machine is None:
            async with self._changing:
                machine = self._machines.get(script.instance.instance_id) or await self._boot(script.instance)
        async with self._slots:
            if not machine.vanished:
                if machine.limit:
                    script = replace(script, timeout=min(script.timeout, machine.limit))
                outcome = await scripts.run(self.nursery, machine.root, script, machine.scripts)
                if self._machines.get(script.instance.instance_id) is machine and not machine.vanished:
                    return outcome
        return Outcome(exit_code=-1, stdout="", stderr="", lost=True)

    async def admin(self, method: str, path: str, body: bytes) -> Response | None:
        """`GET /_lab/machines` lists; `POST /_lab/machines/<id>/<fault>` injects one. None for any other path."""
        parts = [part for part in path.split("?")[0].split("/") if part]
        if parts[:2] != ["_lab", "machines"]:
            return None
        if len(parts) == 2 and method in ("GET", "POST"):
            return _json(200, {"machines": [self._row(machine) for machine in self._machines.values()]})
        machine = self._machines.get(parts[2]) if len(parts) > 2 else None
        if machine is None:
            return _json(404, {"error": "There is no such machine."})
        if len(parts) == 3 and method == "GET":
            return _json(200, self._row(machine))
        fault = faults.FAULTS.get(parts[3]) if len(parts) == 4 and method == "POST" else None
        if fault is None:
            return _json(404, {"error": f"Faults are: {', '.join(sorted(faults.FAULTS))}."})
        with contextlib.suppress(ValueError):
            settings = json.loads(body or b"{}")
            if isinstance(settings, dict):
                async with self._changing:
                    await fault(self.nursery, machine, settings)
                return _json(200, self._row(machine))
        return _json(400, {"error": "The body must be a JSON object."})

    def _row(self, machine: Machine) -> dict[str, object]:
        instance = machine.instance
        return {
            "instanceId": instance.instance_id,
            "account": instance.account,
            "region": instance.region,
            "root": str(machine.root),
            "servicePid": machine.service.pid if machine.service and machine.served else None,
            "agentStopped": machine.agent_stopped,
            "vanished": machine.vanished,
            "mode": machine.mode,
            "scripts": len(machine.scripts),
            **{name: value for facts in self._facts for name, value in facts(instance.instance_id).items()},
        }


def _json(status: int, value: object) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()
