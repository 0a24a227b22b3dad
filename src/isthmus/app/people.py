"""The parts that give people access to clouds and take it away."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.access.broker import Broker
from isthmus.access.enforcing import Enforcement
from isthmus.access.groups import TokenGroups
from isthmus.clouds.contract import AccessCloud, TrailCloud
from isthmus.engine import Engine, Lookup
from isthmus.identity.issuer import Issuer
from isthmus.solutions.access import AccessSolution
from isthmus.solutions.loop import Loop
from isthmus.solutions.trail import Trails
from isthmus.work import Job


@dataclass(frozen=True, kw_only=True)
class People:
    """Who gives sessions, who makes accounts deny, and the solution that keeps both in line."""

    broker: Broker
    enforcement: Enforcement
    solution: AccessSolution
    trails: Trails

    def jobs(self) -> Sequence[Job]:
        """Their jobs."""
        return self.solution.job(), self.enforcement.job(), self.trails.job()


def join_people(engine: Engine, lookup: Lookup, *, cloud: AccessCloud, trail: TrailCloud, loop: Loop, issuer: Issuer) -> People:
    """The parts over one engine, one cloud and the issuer that accounts trust."""
    return People(
        broker=Broker(engine=engine, lookup=lookup, cloud=cloud, run=loop.run, groups=TokenGroups(), issuer=issuer, new_id=new_grant_id),
        enforcement=Enforcement(engine=engine, lookup=lookup, cloud=cloud, run=loop.run, issuer=issuer),
        solution=AccessSolution(engine=engine, lookup=lookup, cloud=cloud, loop=loop, issuer_url=issuer.url),
        trails=Trails(engine=engine, lookup=lookup, cloud=trail, loop=loop, issuer_url=issuer.url),
    )


def new_grant_id() -> str:
    """G and 80 random bits, in letters and digits that tags and people can carry."""
    return f"G-{base64.b32encode(secrets.token_bytes(10)).decode()}"
