"""A small AWS for tests of machines and SSM: instances in a dictionary, one role that allows SSM, a clock that can be moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from isthmus_lab.world import Denial, Instance, RoleCredentials

ACCOUNT, REGION = "111122223333", "eu-west-1"
AMAZON, UBUNTU, WINDOWS = "ami-0c2023a1b2c3d4e5f", "ami-0123456789abcdef0", "ami-0fedcba9876543210"


def instance_id(number: int) -> str:
    return f"i-{number:017x}"


class FakeWorld:
    """Implements `World`."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.offset = 0.0
        self.clock: Callable[[], float] = self._now
        self.current = (ACCOUNT, REGION)
        self.rows: dict[str, Instance] = {}
        self.ssm_roles = {"SsmRole"}
        self.dhmc: str | None = None
        self.denied: dict[tuple[str, str], str] = {}
        self.judged: list[tuple[str, str, Mapping[str, Any]]] = []

    def _now(self) -> float:
        return time.time() + self.offset

    @property
    def endpoint(self) -> str:
        return "http://127.0.0.1:1"

    def add(self, number: int, *, role: str | None = "SsmRole", image: str = AMAZON, tags: Mapping[str, str] | None = None) -> Instance:
        row = Instance(
            account=self.current[0],
            region=self.current[1],
            instance_id=instance_id(number),
            state="running",
            tags=dict(tags or {}),
            image_id=image,
            platform="windows" if image == WINDOWS else "linux",
            private_ip=f"10.0.0.{number % 250 + 1}",
            launched_at=self.clock(),
            profile_arn=f"arn:aws:iam::{ACCOUNT}:instance-profile/{role}" if role else None,
            role_name=role,
        )
        self.rows[row.instance_id] = row
        return row

    def change(self, instance: Instance, **changes: Any) -> Instance:
        self.rows[instance.instance_id] = replace(self.rows[instance.instance_id], **changes)
        return self.rows[instance.instance_id]

    def account(self) -> str:
        return self.current[0]

    def region(self) -> str:
        return self.current[1]

    def caller_arn(self) -> str:
        return f"arn:aws:sts::{self.current[0]}:assumed-role/IsthmusOnboarding-00000000/session"

    def within(self, account: str, region: str) -> AbstractContextManager[None]:
        return nullcontext()

    def instances(self, account: str, region: str) -> list[Instance]:
        return [row for row in self.every_instance() if (row.account, row.region) == (account, region)]

    def instance(self, account: str, region: str, instance_id: str) -> Instance | None:
        row = self.rows.get(instance_id)
        return row if row and (row.account, row.region) == (account, region) else None

    def every_instance(self) -> list[Instance]:
        return [row for row in self.rows.values() if row.state != "terminated"]

    def role_allows(self, account: str, role_name: str, action: str, region: str) -> bool:
        return action == "ssm:UpdateInstanceInformation" and role_name in self.ssm_roles

    def default_host_management(self, account: str, region: str) -> str | None:
        return self.dhmc

    def denial(self, action: str, resource: str, context: Mapping[str, Any] | None = None) -> Denial | None:
        self.judged.append((action, resource, context or {}))
        message = self.denied.get((action, resource)) or self.denied.get((action, "*"))
        return Denial(action=action, resource=resource, message=message, explicit=False) if message else None

    def role_credentials(self, account: str, role_name: str, session_name: str, seconds: int) -> RoleCredentials:
        raise LookupError(role_name)
