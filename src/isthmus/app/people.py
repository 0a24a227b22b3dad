"""The parts that give people access to clouds and take it away."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.access.broker import Broker
from isthmus.access.enforcing import Enforcement
from isthmus.access.groups import TokenGroups
from isthmus.clouds.contract import AccessCloud, TrustCloud
from isthmus.engine import Engine, Lookup
from isthmus.identity.issuer import Issuer
from isthmus.solutions.access import AccessSolution
from isthmus.solutions.linting import Linting
from isthmus.solutions.loop import Loop
from isthmus.work import Job


@dataclass(frozen=True, kw_only=True)
class People:
    """Who gives sessions, who makes accounts deny, the solution that keeps both in line, and who judges what else accounts trust."""

    broker: Broker
    enforcement: Enforcement
    solution: AccessSolution
    linting: Linting

    def jobs(self) -> Sequence[Job]:
        """Their jobs."""
        return self.solution.job(), self.enforcement.job(), self.linting.job()


def join_people(engine: Engine, lookup: Lookup, *, cloud: AccessCloud, trust: TrustCloud, loop: Loop, issuer: Issuer) -> People:
    """The parts over one engine, one cloud and the issuer that accounts trust."""
    return People(
        broker=Broker(engine=engine, lookup=lookup, cloud=cloud, run=loop.run, groups=TokenGroups(), issuer=issuer, new_id=new_grant_id),
        enforcement=Enforcement(engine=engine, lookup=lookup, cloud=cloud, run=loop.run, issuer=issuer),
        solution=AccessSolution(engine=engine, lookup=lookup, cloud=cloud, loop=loop, issuer_url=issuer.url),
        linting=Linting(engine=engine, lookup=lookup, cloud=trust, loop=loop),
    )


def new_grant_id() -> str:
    """G and 80 random bits, in letters and digits that tags and people can carry."""
    return f"G-{base64.b32encode(secrets.token_bytes(10)).decode()}"
