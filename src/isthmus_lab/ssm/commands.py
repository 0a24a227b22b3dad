"""What SSM remembers of a command: the command, its invocations, and what each step of an invocation did."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus_lab.ssm.content import Step
from isthmus_lab.ssm.documents import Document
from isthmus_lab.world import Instance

OUTPUT = 2_500
"""Characters of a step's output in ListCommandInvocations, standard error included."""
_CUT = "---Output truncated---"
_ERRORS = "\n----------ERROR-------\n"
DONE = ("Success", "Failed", "TimedOut", "Cancelled")


@dataclass(kw_only=True, slots=True)
class Plugin:
    """One step of an invocation. `code` is -1 until the step has run; times are epoch seconds, 0 = not yet."""

    name: str
    status: str = "Pending"
    detail: str = "Pending"
    code: int = -1
    started: float = 0.0
    ended: float = 0.0
    stdout: str = ""
    stderr: str = ""

    def finish(self, status: str, detail: str, code: int, now: float) -> None:
        """Note the end of the step."""
        self.status, self.detail, self.code, self.ended = status, detail, code, now

    @property
    def output(self) -> str:
        """Both outputs as the SSM agent joins and cuts them."""
        text = self.stdout + (_ERRORS + self.stderr if self.stderr else "")
        return text if len(text) <= OUTPUT else text[: OUTPUT - len(_CUT)] + _CUT


@dataclass(kw_only=True, slots=True)
class Invocation:
    """One machine's part of a command."""

    instance: Instance
    plugins: list[Plugin]
    status: str = "Pending"
    detail: str = "Pending"
    task: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in DONE

    @property
    def counts_as_error(self) -> bool:
        """Whether it counts against MaxErrors: delivery time-outs do not."""
        return self.status == "Failed" or self.detail == "ExecutionTimedOut"

    def become(self, status: str, detail: str = "") -> None:
        """Change the status; the detail is the same word unless there is a finer one."""
        self.status, self.detail = status, detail or status


@dataclass(kw_only=True, slots=True)
class Command:
    """One SendCommand. `timeout` is seconds for delivery; limits are absolute numbers. `requested` epoch seconds."""

    id: str
    account: str
    region: str
    document: Document
    steps: Sequence[Step]
    comment: str
    parameters: Mapping[str, list[str]]
    instance_ids: Sequence[str]
    targets: Sequence[Mapping[str, Any]]
    requested: float
    timeout: int
    concurrency_text: str
    errors_text: str
    invocations: dict[str, Invocation] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def concurrency(self) -> int:
        """Machines that may run it at the same time."""
        return max(1, _share(self.concurrency_text, len(self.invocations), up=True))

    @property
    def exceeded(self) -> bool:
        """Whether more invocations failed than MaxErrors allows."""
        allowed = _share(self.errors_text, len(self.invocations), up=False)
        return sum(invocation.counts_as_error for invocation in self.invocations.values()) > allowed

    @property
    def status(self) -> tuple[str, str]:
        """Status and StatusDetails of the whole."""
        rows = list(self.invocations.values())
        if not rows:
            return "Success", "NoInstancesInTag"
        if not all(row.done for row in rows):
            if self.cancelled:
                return "Cancelling", "Cancelling"
            return ("Pending", "Pending") if all(row.status == "Pending" for row in rows) else ("InProgress", "InProgress")
        return self._ended(rows)

    def _ended(self, rows: Sequence[Invocation]) -> tuple[str, str]:
        if all(row.status == "Success" for row in rows):
            return "Success", "Success"
        if self.exceeded:
            return "Failed", "RateExceeded" if any(row.detail == "Terminated" for row in rows) else "Failed"
        if self.cancelled and any(row.status == "Cancelled" for row in rows):
            return "Cancelled", "Cancelled"
        if all(row.detail == "DeliveryTimedOut" for row in rows):
            return "TimedOut", "DeliveryTimedOut"
        return "Failed", "Incomplete"

    def row(self) -> dict[str, Any]:
        """The structure `Command` of the API."""
        status, detail = self.status
        rows = self.invocations.values()
        return {
            "CommandId": self.id,
            "DocumentName": self.document.name,
            "DocumentVersion": self.document.version,
            "Comment": self.comment,
            "ExpiresAfter": self.requested + self.timeout,
            "Parameters": self.parameters,
            "InstanceIds": list(self.instance_ids),
            "Targets": list(self.targets),
            "RequestedDateTime": self.requested,
            "Status": status,
            "StatusDetails": detail,
            "MaxConcurrency": self.concurrency_text,
            "MaxErrors": self.errors_text,
            "TargetCount": len(rows),
            "CompletedCount": sum(row.done for row in rows),
            "ErrorCount": sum(row.counts_as_error for row in rows),
            "DeliveryTimedOutCount": sum(row.detail == "DeliveryTimedOut" for row in rows),
            "TimeoutSeconds": self.timeout,
            "OutputS3BucketName": "",
            "OutputS3KeyPrefix": "",
            "ServiceRole": "",
        }


def _share(text: str, total: int, *, up: bool) -> int:
    if not text.endswith("%"):
        return int(text)
    exact = total * int(text[:-1]) / 100
    return math.ceil(exact) if up else math.floor(exact)
