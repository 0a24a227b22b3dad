"""Who calls, and what the caller may do: SSM authorises each resource of a call, not only the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_lab.ssm.documents import BUILTIN
from isthmus_lab.ssm.errors import SsmError
from isthmus_lab.world import Instance, World


class Access:
    """Raises AccessDeniedException in AWS' words where the call in progress lacks a permission."""

    def __init__(self, world: World) -> None:
        self._world = world

    def place(self) -> tuple[str, str]:
        """Account and region of the call in progress."""
        return self._world.account(), self._world.region()

    def own_name(self, name: str) -> str:
        """A document's name from its name or its ARN."""
        return name.rpartition(":document/")[2] if name.startswith("arn:") else name

    def document(self, action: str, name: str) -> None:
        """Demand the action on a document, which may be one of AWS' own."""
        name = self.own_name(name)
        account, region = self.place()
        self._demand(action, f"arn:aws:ssm:{region}:{'' if name in BUILTIN or name.startswith('AWS-') else account}:document/{name}", {})

    def instance(self, action: str, instance: Instance) -> None:
        """Demand the action on an instance, with its tags as condition keys."""
        keys = {f"{prefix}:resourcetag/{key}": value for key, value in instance.tags.items() for prefix in ("ssm", "aws")}
        self._demand(action, f"arn:aws:ec2:{instance.region}:{instance.account}:instance/{instance.instance_id}", keys)

    def session(self, action: str, session_id: str) -> None:
        """Demand the action on a session."""
        account, region = self.place()
        self._demand(action, f"arn:aws:ssm:{region}:{account}:session/{session_id}", {})

    def anything(self, action: str) -> None:
        """Demand an action that knows no resources."""
        self._demand(action, "*", {})

    def _demand(self, action: str, resource: str, context: Mapping[str, Any]) -> None:
        denial = self._world.denial(action, resource, context)
        if denial is not None:
            raise SsmError("AccessDeniedException", denial.message)
