"""A scan of the lab's account through the running server: time, CPU, calls against the minimum, and the same again with nothing changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, func, select

from bench.account import Meter, Spent, account, peak_memory
from bench.minimum import AMERICA, Place, minimum_calls
from bench.rows import row
from isthmus.clouds.aws.catalog import HOME, TYPES
from isthmus.store.tables import resources
from tests.e2e.stack import INVENTORY, Stack, until

MACHINES = 24
CALLS = 1.2
SAMPLED = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")
"""Regions that boto3 lists: two with resources and two without; the rest is scaled from them."""


def measure() -> list[dict[str, Any]]:
    """Rows about a first scan, a second one, and the memory of the server."""
    with account(MACHINES) as stack:
        meter = Meter(stack)
        stack.configure("inventory", INVENTORY)
        until(lambda: "lastSyncTime" in stack.status("inventory"), 300, pause=0.5, what="the account is scanned")
        first = meter.stop()
        found = {(one["resourceType"], _region(one)): int(one["rows"]) for one in stack.scopes("inventory")}
        changed = _changes(stack)
        meter = Meter(stack)
        stack.sync("inventory")
        again = meter.stop()
        written = _changes(stack, after=changed["latest"])["count"]
        least = minimum_calls(found, _unlisted(stack))
        peer = _boto3(stack, list(found))
        peak = peak_memory(stack)
    count = changed["count"]
    return [*_first(first, found, count, least, peer), *_again(again, least, written, first), _memory(peak)]


def _first(spent: Spent, found: dict[Place, int], count: int, least: int, peer: dict[str, float]) -> list[dict[str, Any]]:
    lists = f"boto3, {peer['lists']:.0f} of the same lists in {len(SAMPLED)} regions, 32 threads, scaled"
    return [
        row(
            "scan",
            f"first scan, {count} resources, {len(found)} cells",
            spent.wall,
            "s",
            budget=None,
            against=f"the lab alone spent {spent.lab:.1f} CPU s answering",
        ),
        row(
            "scan",
            "its CPU time in serve",
            spent.serve,
            "s",
            budget=None,
            against=f"{lists}: {peer['cpu']:.1f} CPU s ({peer['cpu'] / spent.serve:.1f}x)",
        ),
        row(
            "scan",
            "resources per CPU second",
            count / spent.serve,
            "1/s",
            budget=round(count / peer["cpu"], 1),
            against=f"{lists}: {count / peer['cpu']:.0f}/s, without details, tags or a database",
            better="higher",
        ),
        row("scan", "calls against the minimum", spent.total / least, "x", budget=CALLS, against=f"{spent.total} calls, minimum {least}"),
    ]


def _again(spent: Spent, least: int, written: int, first: Spent) -> list[dict[str, Any]]:
    return [
        row("scan", "the same again, nothing changed", spent.wall, "s", budget=None, against=f"first scan {first.wall:.1f} s"),
        row("scan", "its CPU time in serve (again)", spent.serve, "s", budget=None, against=f"first scan {first.serve:.2f} s"),
        row(
            "scan",
            "its calls against the minimum (again)",
            spent.total / least,
            "x",
            budget=CALLS,
            against=f"{spent.total} calls, minimum {least}",
        ),
        row("scan", "its written projections", written, "rows", budget=0, against="limit: what is equal is not written"),
    ]


def _memory(peak: float) -> dict[str, Any]:
    return row("scan", "peak memory of serve, start to second scan", peak, "MB", budget=None, against="150 MB allowed at rest")


def _region(scope: dict[str, Any]) -> str:
    return "" if TYPES[scope["resourceType"]].is_global else str(scope["region"])


def _changes(stack: Stack, after: int = -1) -> dict[str, int]:
    """Projections written after a time, and when the last was."""
    engine = create_engine(stack.database)
    chosen = (resources.c.type.startswith("microsoft.awsconnector/"), resources.c.changed_at > after)
    with engine.connect() as connection:
        count, latest = connection.execute(select(func.count(), func.max(resources.c.changed_at)).where(*chosen)).one()
    engine.dispose()
    return {"count": int(count), "latest": int(latest or 0)}


def _unlisted(stack: Stack) -> dict[Place, int]:
    """Rows of parents that no cell lists."""
    return {("iamUsers", ""): len(stack.aws("iam").list_users()["Users"])}


def _boto3(stack: Stack, cells: list[Place]) -> dict[str, float]:
    """The CPU seconds that boto3 takes for the root lists of the cells, from a sample of regions."""
    roots = [(TYPES[name], region) for name, region in cells if TYPES[name].parent is None]
    regions = {region for _, region in roots if region}
    wanted = [(entry, region) for entry, region in roots if not region or region in SAMPLED]
    lists = [
        [*entry.list.split(":"), dict(entry.params), region or (AMERICA if entry.answers_in == HOME else entry.answers_in)]
        for entry, region in wanted
    ]
    arguments = {name: value for name, value in stack.lab.client_arguments(stack.account, AMERICA).items() if name != "region_name"}
    command = [sys.executable, "-m", "bench.peer_lists"]
    asked = json.dumps({"arguments": arguments, "lists": lists})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    result: dict[str, float] = json.loads(done.stdout)
    scale = len(roots) / len(wanted) if regions else 1.0
    return {**result, "cpu": result["cpu"] * scale}
