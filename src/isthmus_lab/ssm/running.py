"""The life of a command: delivery, steps on machines, time limits, error limits, cancellation."""

from __future__ import annotations

import asyncio
import logging

from isthmus_lab.machines.scripts import Outcome, Script
from isthmus_lab.machines.supervisor import Machines
from isthmus_lab.ssm import content as contents
from isthmus_lab.ssm.commands import Command, Invocation, Plugin
from isthmus_lab.ssm.content import Step
from isthmus_lab.ssm.nodes import Nodes
from isthmus_lab.world import World

log = logging.getLogger(__name__)

LOOK = 0.1
"""Seconds between two looks at whether a machine can be reached."""


class Running:
    """Runs commands. Each invocation is a task of its own, so that a hung machine delays nobody."""

    def __init__(self, world: World, machines: Machines, nodes: Nodes, *, settle: float) -> None:
        """`settle`: seconds before delivery begins, at least as long as invocations cannot be read."""
        self._world, self._machines, self._nodes = world, machines, nodes
        self._settle = settle
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, command: Command) -> None:
        """Begin delivery and return at once."""
        slots = asyncio.Semaphore(command.concurrency)
        for invocation in command.invocations.values():
            task = asyncio.get_running_loop().create_task(self._invoke(command, invocation, slots))
            invocation.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Abandon everything that runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel(self, invocation: Invocation) -> None:
        """Cancel an invocation; what ended stays as it is."""
        if invocation.done or invocation.task is None:
            return
        invocation.become("Cancelled" if invocation.status == "Pending" else "Cancelling")
        invocation.task.cancel()

    async def _invoke(self, command: Command, invocation: Invocation, slots: asyncio.Semaphore) -> None:
        try:
            await asyncio.sleep(self._settle)
            async with slots:
                if command.exceeded:
                    invocation.become("Cancelled", "Terminated")
                    return
                if await self._delivered(command, invocation):
                    await self._execute(command, invocation)
        except asyncio.CancelledError:
            now = self._world.clock()
            for plugin in invocation.plugins:
                if not plugin.ended:
                    plugin.finish("Cancelled", "Cancelled", -1, now)
            invocation.become("Cancelled")
        except Exception:  # the border of a job: the invocation fails, the lab goes on
            log.exception("Command %s failed on %s.", command.id, invocation.instance.instance_id)
            invocation.become("Failed")

    async def _delivered(self, command: Command, invocation: Invocation) -> bool:
        while not self._nodes.online(invocation.instance):
            if self._world.clock() >= command.requested + command.timeout:
                invocation.become("TimedOut", "DeliveryTimedOut")
                return False
            await asyncio.sleep(LOOK)
        return True

    async def _execute(self, command: Command, invocation: Invocation) -> None:
        invocation.become("InProgress")
        for step, plugin in zip(command.steps, invocation.plugins, strict=True):
            await self._step(command, invocation, step, plugin)
        details = [plugin.detail for plugin in invocation.plugins]
        if "ExecutionTimedOut" in details:
            invocation.become("TimedOut", "ExecutionTimedOut")
        else:
            invocation.become("Failed" if "Failed" in details else "Success")

    async def _step(self, command: Command, invocation: Invocation, step: Step, plugin: Plugin) -> None:
        instance = invocation.instance
        plugin.started = self._world.clock()
        plugin.status = plugin.detail = "InProgress"
        platform = "Windows" if instance.platform == "windows" else "Linux"
        if step.platform and step.platform != platform:
            condition = f"""'"StringEquals": [platformType, {step.platform}]'"""
            plugin.stdout = f"Step execution skipped due to unsatisfied preconditions: {condition}. Step name: {step.name}"
            plugin.finish("Success", "Success", 0, self._world.clock())
            return
        if step.action != contents.SHELL or platform != "Linux":
            plugin.stderr = f"The lab's machines cannot run {step.action} on {platform}."
            plugin.finish("Failed", "Failed", 1, self._world.clock())
            return
        script = Script(
            instance=instance,
            command_id=command.id,
            step=step.name,
            lines=step.lines,
            timeout=step.timeout,
            environ={},
            working_directory=step.working_directory,
        )
        self._note(plugin, await self._outcome(script, plugin.started))

    async def _outcome(self, script: Script, started: float) -> Outcome:
        outcome = await self._machines.run(script)
        # Nobody tells SSM that a machine is gone: the step stays in progress until its time is up.
        while outcome.lost and self._world.clock() < started + script.timeout:  # noqa: ASYNC110 - waits for a clock, not for an event
            await asyncio.sleep(LOOK)
        return outcome

    def _note(self, plugin: Plugin, outcome: Outcome) -> None:
        plugin.stdout, plugin.stderr = outcome.stdout, outcome.stderr
        now = self._world.clock()
        if outcome.timed_out or outcome.lost:
            plugin.finish("TimedOut", "ExecutionTimedOut", outcome.exit_code, now)
        elif outcome.exit_code:
            plugin.finish("Failed", "Failed", outcome.exit_code, now)
        else:
            plugin.finish("Success", "Success", 0, now)
