"""A small account for the auto-assignment function, and runs of the function on it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from isthmus.clouds.aws.template.assign_profile import Run, perform
from tests.clouds.aws.template.fake_aws import ACCOUNT, FakeAws, Region

HOME = "us-east-1"
DOCUMENT = "Isthmus-Onboarding-3f2504e0"
CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
SETTINGS = {"ACCOUNT": ACCOUNT, "PROFILE": "IsthmusMachine-3f2504e0", "DOCUMENT": DOCUMENT, "ASSIGN": "true", "CORE_POLICY": CORE}
CONTEXT = SimpleNamespace(
    invoked_function_arn=f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:IsthmusAssignment-3f2504e0",
    get_remaining_time_in_millis=lambda: 900_000,
)


def small_account() -> FakeAws:
    """One region, our own profile, and profiles whose roles may, may not, or do not exist."""
    return FakeAws(
        regions={HOME: Region(documents={DOCUMENT: '{"a": 1}'})},
        profiles={
            "IsthmusMachine-3f2504e0": ("AIPA-OURS", "IsthmusMachine-3f2504e0"),
            "shop": ("AIPA-SHOP", "ShopRole"),
            "ready": ("AIPA-READY", "ReadyRole"),
            "hollow": ("AIPA-HOLLOW", None),
        },
        roles={"IsthmusMachine-3f2504e0": True, "ShopRole": False, "ReadyRole": True},
    )


def go(
    aws: FakeAws, event: dict[str, Any] | None = None, time_left: Callable[[], float] = lambda: 900_000, **settings: str
) -> dict[str, Any]:
    """Run the function once; what it returns."""
    event = event or {}
    run = Run(
        SETTINGS | settings,
        HOME,
        client=aws.client,
        time_left=time_left,
        sleep=lambda seconds: None,
        clock=lambda: 1_790_000_000,
        dry=bool(event.get("dryRun")),
    )
    return perform(event, CONTEXT, run)


def rows(result: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Its rows by instance."""
    return {row["instance"]: row for row in result["rows"]}


def writes(aws: FakeAws) -> list[str]:
    """The calls so far that change something."""
    reading = ("Describe", "Get", "List", "Simulate")
    return [operation for _, operation, _ in aws.calls if not operation.split(":")[1].startswith(reading)]
