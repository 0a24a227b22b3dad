"""Machines as real processes: boot, verbs through the launcher, faults, and an end with nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from isthmus_lab.machines import launcher
from isthmus_lab.machines.scripts import Outcome, Script
from isthmus_lab.machines.supervisor import Machines
from isthmus_lab.world import Instance
from tests.lab.machines.fake_world import UBUNTU, FakeWorld
from tests.support.waiting import soon, until

pytestmark = pytest.mark.e2e


class Harness:
    def __init__(self, world: FakeWorld, machines: Machines) -> None:
        self.world, self.machines = world, machines
        self.count = 0

    async def run(self, instance: Instance, *lines: str, limit: float = 20, **environ: str) -> Outcome:
        self.count += 1
        script = Script(
            instance=instance,
            command_id=f"command-{self.count}",
            step="step",
            lines=lines,
            timeout=limit,
            environ=environ,
            working_directory="",
        )
        return await self.machines.run(script)

    async def fault(self, instance: Instance, name: str, body: str = "{}") -> int:
        answer = await self.machines.admin("POST", f"/_lab/machines/{instance.instance_id}/{name}", body.encode())
        assert answer
        return answer[0]


def on_machines(tmp_path: Path, scenario: Callable[[Harness], Awaitable[None]], *, folder: str = "state") -> None:
    async def main() -> None:
        world = FakeWorld(tmp_path / folder)
        machines = Machines(world.state_dir, world)
        await machines.start()
        try:
            await scenario(Harness(world, machines))
        finally:
            await machines.stop()

    asyncio.run(main())


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_twenty_machines_make_twenty_keys(tmp_path: Path) -> None:
    async def scenario(lab: Harness) -> None:
        instances = [lab.world.add(number) for number in range(20)]
        began = time.monotonic()
        outcomes = await asyncio.gather(*(lab.run(instance, "azcmagent genkey") for instance in instances))
        print(f"\n20 machines booted and made keys in {time.monotonic() - began:.2f} s")  # noqa: T201 - a measured figure
        assert {outcome.exit_code for outcome in outcomes} == {0}
        assert len({outcome.stdout for outcome in outcomes}) == 20
        again = await lab.run(instances[3], "azcmagent genkey")
        assert again.stdout == outcomes[3].stdout

    on_machines(tmp_path, scenario)


def test_a_verb_costs_a_fork_not_an_interpreter(tmp_path: Path) -> None:
    async def scenario(lab: Harness) -> None:
        instance = lab.world.add(1)
        await lab.run(instance, "true")
        times = {}
        for name, line in (("through the parent", "azcmagent version"), ("on its own", f"{sys.executable} -m isthmus_agent version")):
            began = time.monotonic()
            outcome = await lab.run(instance, *[line] * 10)
            times[name] = (time.monotonic() - began) / 10
            assert outcome.stdout == "azcmagent version 1.0.0\n" * 10
        print("\n" + ", ".join(f"{name}: {1000 * seconds:.1f} ms" for name, seconds in times.items()))  # noqa: T201 - a measured figure
        assert times["through the parent"] < times["on its own"]

    on_machines(tmp_path, scenario)


def test_exit_codes_output_and_environment_are_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-leak")

    async def scenario(lab: Harness) -> None:
        instance = lab.world.add(7, image=UBUNTU)
        outcome = await lab.run(instance, "#!/bin/bash", "env", "echo to-error >&2", "azcmagent frobnicate", "exit 42")
        assert outcome.exit_code == 42
        assert outcome.stderr == "to-error\nfailed to run commands: exit status 42"
        assert f"AWS_SSM_INSTANCE_ID={instance.instance_id}" in outcome.stdout
        assert "AWS_SSM_REGION_NAME=eu-west-1" in outcome.stdout
        assert "AWS_SSM_PLATFORM_NAME=Ubuntu" in outcome.stdout
        assert "do-not-leak" not in outcome.stdout
        assert "AZCM0023" in outcome.stdout
        assert (await lab.run(instance, "kill -9 $$")).exit_code == 137
        assert (await lab.run(instance, "azcmagent genkey --surprise")).exit_code == 23
        big = await lab.run(instance, "head -c 100000 /dev/zero | tr '\\0' x")
        assert len(big.stdout) == 24_000

    on_machines(tmp_path, scenario)


def test_the_time_limit_kills_the_whole_group_and_the_verb(tmp_path: Path) -> None:
    async def scenario(lab: Harness) -> None:
        instance = lab.world.add(1)
        outcome = await lab.run(instance, "echo $$", "sleep 1000 & echo $!", "azcmagent service run & wait", limit=1)
        assert outcome.timed_out
        assert outcome.exit_code == 137
        shell, sleeper = map(int, outcome.stdout.split())
        await soon(lambda: not alive(shell) and not alive(sleeper))
        await soon(lambda: len(children(lab.machines.nursery.pid)) == 1, 5)

    on_machines(tmp_path, scenario)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if alive(int(child))]
    except OSError:
        return []  # it has ended


def test_boots_and_halts_with_its_instance(tmp_path: Path) -> None:
    async def scenario(lab: Harness) -> None:
        plain, managed = lab.world.add(1, role=None), lab.world.add(2)
        await soon(lambda: lab.machines.machine(managed.instance_id))
        assert lab.machines.machine(plain.instance_id) is None
        machine = lab.machines.machine(managed.instance_id)
        assert machine
        assert machine.service
        pid = machine.service.pid
        assert alive(pid)
        before = (await lab.run(managed, "azcmagent genkey")).stdout
        lab.world.change(managed, state="stopped")
        await soon(lambda: not alive(pid))
        assert lab.machines.machine(managed.instance_id) is None
        lab.world.change(managed, state="running")
        await soon(lambda: lab.machines.machine(managed.instance_id))
        assert (await lab.run(managed, "azcmagent genkey")).stdout == before  # the disk survived
        lab.world.change(managed, state="terminated")
        await soon(lambda: not (lab.world.state_dir / "machines" / managed.instance_id).exists())

    on_machines(tmp_path, scenario)


def test_a_dead_service_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus_lab.machines.supervisor.RESTART", 0.0)

    async def scenario(lab: Harness) -> None:
        instance = lab.world.add(1)
        await soon(lambda: lab.machines.machine(instance.instance_id))
        machine = lab.machines.machine(instance.instance_id)
        assert machine
        assert machine.service
        first = machine.service.pid
        os.kill(first, signal.SIGKILL)
        await soon(lambda: machine.service and machine.service.pid != first)

    on_machines(tmp_path, scenario)


def test_faults(tmp_path: Path) -> None:
    async def scenario(lab: Harness) -> None:
        instance = lab.world.add(1)
        await lab.machines.sync()
        machine = lab.machines.machine(instance.instance_id)
        assert machine
        assert await lab.fault(instance, "stop-agent") == 200
        assert not machine.served
        assert (await lab.run(instance, "echo still reachable")).exit_code == 0
        assert await lab.fault(instance, "start-agent") == 200
        assert machine.served

        assert await lab.fault(instance, "break-key-output") == 200
        noisy = await lab.run(instance, "azcmagent genkey")
        assert noisy.exit_code == 0
        assert "MII" not in noisy.stdout
        assert await lab.fault(instance, "break-key-output", '{"on": false}') == 200
        assert (await lab.run(instance, "azcmagent genkey")).stdout.startswith("MII")

        assert await lab.fault(instance, "slow", '{"seconds": 100}') == 200
        assert (await lab.run(instance, "azcmagent genkey", limit=0.5)).timed_out
        assert await lab.fault(instance, "slow", '{"on": false}') == 200

        assert await lab.fault(instance, "connect-elsewhere") == 200
        shown = json.loads((await lab.run(instance, "azcmagent show -j")).stdout)
        assert shown["resourceId"].endswith("/machines/elsewhere")
        guid = "aaaaaaaa-0000-4000-8000-00000000000"
        connect = f"azcmagent connect existing --subscription-id {guid}1 --resource-group g --resource-name n --location eastus"
        assert (await lab.run(instance, f"{connect} --tenant-id {guid}2 --vmid {guid}3 --use-saved-key")).exit_code == 67

        running = asyncio.create_task(lab.run(instance, "sleep 1000"))
        await soon(lambda: machine.scripts)
        assert await lab.fault(instance, "vanish") == 200
        assert (await running).lost
        assert (await lab.run(instance, "true")).lost
        assert not machine.served
        assert await lab.fault(instance, "start-agent") == 200
        assert (await lab.run(instance, "true")).exit_code == 0

        assert await lab.fault(instance, "no-such-fault") == 404
        assert await lab.fault(instance, "slow", "[]") == 400
        assert await lab.machines.admin("GET", "/_lab/other", b"") is None
        listed = await lab.machines.admin("GET", "/_lab/machines", b"")
        assert listed
        assert [row["instanceId"] for row in json.loads(listed[2])["machines"]] == [instance.instance_id]

    on_machines(tmp_path, scenario)


def test_long_folders_with_blanks(tmp_path: Path) -> None:
    async def scenario(lab: Harness) -> None:
        instance = lab.world.add(1)
        outcome = await lab.run(instance, "azcmagent genkey", 'test -S "$ISTHMUS_AGENT_ROOT/var/opt/azcmagent/socks/himds.sock"')
        assert outcome.exit_code == 0, outcome

    on_machines(tmp_path, scenario, folder="a folder's name/" + "long" * 40)


def test_without_a_parent_process_the_launcher_runs_the_agent_itself(tmp_path: Path) -> None:
    environ = {"ISTHMUS_AGENT_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-I", "-S", str(launcher.__file__), str(tmp_path / "nowhere"), "genkey"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MII")


@pytest.mark.parametrize("victim", ["lab", "zygote"])
def test_nothing_survives_however_the_lab_ends(tmp_path: Path, victim: str) -> None:
    program = f"""
import asyncio, pathlib
from tests.lab.machines.fake_world import FakeWorld
from isthmus_lab.machines.supervisor import Machines
from isthmus_lab.machines.scripts import Script

async def main():
    world = FakeWorld(pathlib.Path({str(tmp_path)!r}))
    machines = Machines(world.state_dir, world)
    await machines.start()
    instance = world.add(1)
    script = Script(
        instance=instance, command_id="c", step="s", lines=["sleep 1000 & sleep 1000"], timeout=1000, environ={{}}, working_directory=""
    )
    task = asyncio.create_task(machines.run(script))
    print(machines.nursery.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    lab = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert lab.stdout
        zygote = int(lab.stdout.readline())

        def everything() -> list[int]:
            offspring = children(zygote)
            found = offspring + [grandchild for child in offspring for grandchild in children(child)]
            return found if len(found) >= 4 else []

        watched = [zygote, *until(everything, 20, pause=0.02, what="a service, a shell and two sleeps")]
        os.kill(lab.pid if victim == "lab" else zygote, signal.SIGKILL)
        until(lambda: not [pid for pid in watched if alive(pid)], 5, pause=0.02, what="all of them end")
    finally:
        lab.kill()
        lab.communicate()
