"""One machine: its root folder, the processes that run on it, the faults it suffers from."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from isthmus_lab.machines.nursery import Child, Nursery
from isthmus_lab.machines.roots import Mode
from isthmus_lab.world import Instance


@dataclass(kw_only=True, slots=True)
class Machine:
    """`booted_at` is epoch seconds of the lab's clock; `ended_at` the monotonic time at which its service was seen to have ended, or 0.

    `limit` shortens the time limit of scripts (seconds; 0: as their documents say), for tests of what a time-out leads to.
    """

    instance: Instance
    root: Path
    booted_at: float
    service: Child | None = None
    mode: Mode = "normal"
    agent_stopped: bool = False
    vanished: bool = False
    ended_at: float = 0.0
    limit: float = 0.0
    scripts: set[Child] = field(default_factory=set)

    @property
    def environ(self) -> dict[str, str]:
        """Environment of what runs on the machine outside scripts."""
        return {"ISTHMUS_AGENT_ROOT": str(self.root), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    @property
    def served(self) -> bool:
        """Whether the agent's service runs."""
        return self.service is not None and self.service.running

    async def start_service(self, nursery: Nursery) -> None:
        """Start the agent's service unless it runs."""
        if not self.served:
            self.service = await nursery.agent(["service", "run"], self.environ, folder=self.root, output=self.root / "tmp/himds.out")

    async def stop_service(self) -> None:
        """Stop the agent's service as systemd does: SIGTERM, SIGKILL after a while."""
        if self.service:
            await self.service.end()

    async def halt(self) -> None:
        """Stop everything that runs on the machine, scripts without asking."""
        for child in list(self.scripts):
            child.signal(signal.SIGKILL)
        await self.stop_service()
