"""Every reason why an instance is not connected, once: how it is retried and what a person can do about it.

The classes are those of the failure catalogue: T passes by itself, E depends on the surroundings, U needs a person, S is about security
and never retried by itself; N is no failure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Class = Literal["N", "T", "E", "U", "S"]

MINUTE = 60_000
HOUR = 60 * MINUTE
_FIRST = {"T": MINUTE, "E": 15 * MINUTE, "U": 6 * HOUR}
_LONGEST = {"T": 30 * MINUTE, "E": 6 * HOUR, "U": 6 * HOUR}


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One row. `remedy` is a sentence for people; what stands in braces comes from the evidence."""

    name: str
    kind: Class
    remedy: str

    def sentence(self, evidence: Mapping[str, Any]) -> str:
        """The remedy with the evidence in it; what is not known reads as a question mark."""
        return self.remedy.format_map(_Known(evidence))

    @property
    def general(self) -> str:
        """The remedy for many instances at once: dots stand for what differs between them."""
        return self.remedy.format_map(_Any())


class _Known(dict[str, Any]):
    def __missing__(self, _key: str) -> str:
        return "?"


class _Any(dict[str, Any]):
    def __missing__(self, _key: str) -> str:
        return "…"


def _table(rows: Iterable[tuple[str, Class, str]]) -> Mapping[str, Code]:
    return MappingProxyType({name: Code(name=name, kind=kind, remedy=remedy) for name, kind, remedy in rows})


CODES = _table(
    (
        ("FILTERED_TAG", "N", "Excluded by the filter {rule}: the instance does not carry that tag."),
        ("FILTERED_REGION", "N", "Region {region} is not selected in this solution."),
        ("FILTERED_STATE", "N", "The instance is {state}; only running instances are onboarded."),
        ("INSTANCE_STOPPED", "N", "The instance is {state}. Onboarding goes on when it runs again."),
        ("INSTANCE_TERMINATED", "N", "The instance is gone ({state})."),
        (
            "NO_PROFILE",
            "U",
            "The instance has no instance profile, so Systems Manager cannot reach it. Attach the profile of the authentication template, "
            "or switch Default Host Management Configuration on.",
        ),
        (
            "IMDS_DISABLED",
            "U",
            "The SSM agent cannot get an identity. Run: aws ec2 modify-instance-metadata-options --instance-id {instance} "
            "--http-endpoint enabled",
        ),
        (
            "SSM_BACKOFF",
            "T",
            "Waiting for the SSM agent to register. After a profile was attached it looks again within 60 minutes; "
            "a reboot makes it look now.",
        ),
        (
            "SSM_NOT_REGISTERED",
            "U",
            "The SSM agent has not registered for more than an hour. Check that it is installed, that its role may call "
            "ssm:UpdateInstanceInformation, and that the subnet reaches ssm, ssmmessages and ec2messages.",
        ),
        (
            "SSM_CONNECTION_LOST",
            "T",
            "Systems Manager lost the instance ({ping}); last ping {lastPing}. Restart the SSM agent if it stays so.",
        ),
        ("SSM_INVALID_INSTANCE", "T", "Systems Manager refused the instance id: {message}"),
        ("SSM_THROTTLED", "T", "AWS throttles commands in this region: {message}"),
        ("SSM_DELIVERY_TIMEOUT", "T", "The command was not delivered in time; it is sent again when the agent is online."),
        ("SSM_UNDELIVERABLE", "T", "Systems Manager could not deliver the command; it is sent again."),
        ("SSM_EXEC_TIMEOUT", "T", "The command did not end in time. Last output: {tail}"),
        ("SSM_TERMINATED", "T", "Systems Manager ended the command before it ran here; it is sent again."),
        ("SSM_CANCELLED", "T", "The command was cancelled; it is sent again."),
        ("INVOCATION_MISSING", "T", "Systems Manager does not know the command for this instance; it is sent again."),
        ("OS_UNSUPPORTED", "U", "Systems Manager does not run the document on this platform: {message}"),
        ("DOCUMENT_UNUSABLE", "U", "{message}"),
        (
            "ACCESS_DENIED",
            "U",
            "The onboarding role lacks a permission: {message} Update the stack with the current authentication template.",
        ),
        ("AWS_ERROR", "T", "AWS answered with an error: {message}"),
        ("AGENT_NOT_INSTALLED", "U", "azcmagent is not installed on the instance. Install it; onboarding then goes on."),
        ("AGENT_ELSEWHERE", "U", "The agent is connected to {resource} and was left alone. To bring it here, disconnect it there."),
        ("AGENT_DISCONNECTED", "U", "The agent was disconnected on the machine. To bring it back, sync this solution."),
        ("AGENT_OTHER_IDENTITY", "T", "The agent still holds an earlier identity of this machine; it clears it with its next heartbeat."),
        ("MACHINE_REMOVED", "U", "The machine resource was deleted. To onboard the instance again, sync this solution."),
        ("MACHINE_CONFLICT", "U", "The machine cannot be registered: {message}"),
        ("KEY_PARSE", "T", "No public key in the output of genkey: {message} Output: {tail}"),
        ("KEY_MISMATCH", "T", "The key on the machine is not the registered one; it is registered again with a new generation."),
        (
            "KEY_REUSED",
            "S",
            "The instance shows the key of {other}: its disk was copied. Give it a key of its own, then sync with confirmation.",
        ),
        ("EGRESS_BLOCKED", "E", "The machine does not reach the control plane. Look at its egress and its proxy. Output: {tail}"),
        (
            "CONTROL_PLANE_AWAY",
            "T",
            "Isthmus was stopped or restarted while the machine connected. It is tried again at once. Output: {tail}",
        ),
        ("CONNECT_FAIL", "T", "azcmagent {action} ended with exit code {exit}. Output: {tail}"),
        ("WINDOW_EXPIRED", "T", "The machine did not enrol in time; it is registered again with a new generation."),
        ("VERIFY_TIMEOUT", "T", "The agent said that it is connected, and no proof of its key arrived."),
        ("HEARTBEAT_LOST", "T", "No heartbeat for more than 15 minutes. {cause}"),
        ("EXPIRED", "T", "The registration ended; the machine is registered again with a new key."),
    )
)


def retry_at(code: str, attempts: int, now: int, key: str) -> int:
    """When to try again (epoch milliseconds): doubling by class from the first failure on, spread by up to a fifth per instance."""
    kind = CODES[code].kind
    pause = min(_FIRST[kind] << min(max(attempts - 1, 0), 20), _LONGEST[kind])
    spread = int.from_bytes(hashlib.sha256(f"{key}|{attempts}".encode()).digest()[:4], "big") / 2**32
    return now + int(pause * (1 - spread / 5))
