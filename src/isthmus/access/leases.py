"""The lease: a session policy that ends a session at an exact second, below the shortest session that STS gives and without a write at IAM.

The broker passes it in its own call of STS; who has the token alone could leave it out, so the token never leaves the broker.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from isthmus.arm.errors import conflict
from isthmus.clouds.aws.outliving import CHAINS, SHELLS, TUNNELS

MAX_SESSION_POLICY = 2048
"""Characters that STS takes."""


def lease_policy(until: float, *, addresses: Sequence[str] = (), actions: Sequence[str] = ("*",), shells_in: str | None = None) -> str:
    """The session policy of a lease until an instant (seconds since 1970): nothing afterwards, nothing but `actions` before, only from
    `addresses` (CIDR) where some are given, and neither a chain of sessions nor a tunnel that would outlive it. Shells outlive it, so they
    are opened in the region `shells_in` alone, where somebody's are found again; nowhere when it is empty.

    Raises ArmError 409 `SessionPolicyTooLarge`.
    """
    text = _written(until, addresses, actions, shells_in)
    if len(text) > MAX_SESSION_POLICY:
        raise conflict(
            f"The session policy has {len(text)} characters and STS takes {MAX_SESSION_POLICY}. Name fewer or wider addresses in the role "
            "mapping.",
            code="SessionPolicyTooLarge",
        )
    return text


def fits_lease(until: float, actions: Sequence[str], *, addresses: Sequence[str] = ()) -> bool:
    """Whether STS takes a lease with these actions."""
    return len(_written(until, addresses, actions, "xx-xxxxxxxxx-0")) <= MAX_SESSION_POLICY


def _written(until: float, addresses: Sequence[str], actions: Sequence[str], shells_in: str | None) -> str:
    end = datetime.fromtimestamp(int(until), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    statements: list[dict[str, Any]] = [
        {
            "Sid": "Lease",
            "Effect": "Allow",
            "Action": list(actions) if len(actions) > 1 else actions[0],
            "Resource": "*",
            "Condition": {"DateLessThan": {"aws:CurrentTime": end}},
        },
        {
            "Sid": "LeaseEnd",
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"DateGreaterThanEquals": {"aws:CurrentTime": end}},
        },
        {"Sid": "NothingOutlives", "Effect": "Deny", "Action": [*CHAINS, *TUNNELS], "Resource": "*"},
    ]
    if shells_in is not None:
        shells: dict[str, Any] = {"Sid": "Shells", "Effect": "Deny", "Action": list(SHELLS), "Resource": "*"}
        if shells_in:
            shells["Condition"] = {"StringNotEquals": {"aws:RequestedRegion": shells_in}}
        statements.append(shells)
    if addresses:
        elsewhere = {"NotIpAddress": {"aws:SourceIp": list(addresses)}, "BoolIfExists": {"aws:ViaAWSService": "false"}}
        statements.append({"Sid": "Elsewhere", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": elsewhere})
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
