"""What an ended command means: from the cloud's words and the exit code to our code and its evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.clouds.contract import Invocation

_RUNNING = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
_CODE_OF_DETAIL = {
    "DeliveryTimedOut": "SSM_DELIVERY_TIMEOUT",
    "Undeliverable": "SSM_UNDELIVERABLE",
    "ExecutionTimedOut": "SSM_EXEC_TIMEOUT",
    "TimedOut": "SSM_EXEC_TIMEOUT",
    "Terminated": "SSM_TERMINATED",
    "Cancelled": "SSM_CANCELLED",
    "InvalidPlatform": "OS_UNSUPPORTED",
    "AccessDenied": "ACCESS_DENIED",
}
_CODE_OF_EXIT = {26: "EGRESS_BLOCKED", 81: "KEY_MISMATCH", 104: "KEY_MISMATCH", 201: "AGENT_NOT_INSTALLED", 202: "KEY_PARSE"}
_ELSEWHERE = frozenset({67, 205})
_MACHINE = re.compile(r"/subscriptions/[^\s\"'()]+/machines/[^\s\"'(),;]+", re.IGNORECASE)
_TAIL = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why an attempt failed: a code of the catalogue and small JSON evidence."""

    code: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def is_running(invocation: Invocation) -> bool:
    """Whether the command may still end on this machine."""
    return invocation.status in _RUNNING


def failure_of(invocation: Invocation, action: str, machine: str) -> Failure | None:
    """The failure that an ended invocation stands for; None when it succeeded. `machine` is the key of our machine resource."""
    if invocation.status == "Success":
        return None
    tail = tail_of(invocation.output)
    detail = invocation.detail.replace(" ", "") or invocation.status
    if detail in _CODE_OF_DETAIL:
        return Failure(code=_CODE_OF_DETAIL[detail], evidence={"message": f"{detail}.", "tail": tail})
    known = {"action": action, "exit": invocation.exit_code, "tail": tail}
    if invocation.exit_code in _ELSEWHERE:
        other = _MACHINE.search(invocation.output)
        resource = other.group().rstrip(".") if other else "another resource"
        code = "AGENT_OTHER_IDENTITY" if resource.lower() == machine else "AGENT_ELSEWHERE"
        return Failure(code=code, evidence={**known, "resource": resource})
    code = _CODE_OF_EXIT.get(invocation.exit_code, "CONNECT_FAIL")
    return Failure(code=code, evidence={**known, "message": f"Exit code {invocation.exit_code}."})


def tail_of(output: str) -> str:
    """The end of an output, as evidence. What looks like a private key is withheld."""
    return "(withheld: it holds a private key)" if "PRIVATE KEY" in output else output.strip()[-_TAIL:]
