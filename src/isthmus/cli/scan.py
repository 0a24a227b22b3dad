"""`isthmus scan`: read an account now, watch it, and see what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.connector import SHORT
from isthmus.cli.nouns import CONNECTOR, SOLUTION, Group, Name, find, rows_of
from isthmus.cli.output import Progress, print_list, print_tree
from isthmus.cli.session import Session
from isthmus.cli.watch import Interval, Sight, list_of, present
from isthmus.client import Answer

# Counting costs a list of all scopes; the operation itself is asked more often.
_COUNT_EVERY = 3
_ENDS = ("Succeeded", "Failed", "Canceled")
_REGIONS = {"REGION": "region", "SCOPES READ": "done", "RESOURCES": "resources", "GAPS": "gaps"}


def scan(
    session: Session,
    name: Name,
    *,
    group: Group = "",
    confirm_deletions: Annotated[bool, typer.Option("--confirm-deletions", help="Accept that unusually much has vanished.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end.")] = True,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="While waiting, show how far each region is.")] = False,
    interval: Interval = 2.0,
) -> None:
    """Scan the account of a connector now; then say what was found and what could not be read.

    TSV and CSV hold the outcomes; JSON and YAML also every gap with its reason. Ctrl-C ends the command, not the scan.
    """
    connector = find(session, CONNECTOR, name, group)
    solution = _inventory(session, connector, name)
    started = datetime.now(UTC).isoformat()
    answer = session.client.post(f"{solution}/syncNow", {"confirmDeletions": True} if confirm_deletions else None)
    if not wait:
        session.say("Started. Follow it with: isthmus operation list --watch")
        return
    try:
        result = _watched(session, answer, solution, started, interval) if watch else _waited(session, answer, solution, started)
    except KeyboardInterrupt:
        session.say("The scan goes on. Follow it with: isthmus operation list --running --watch")
        raise
    _tell(session, solution, result)


def _waited(session: Session, answer: Answer, solution: str, started: str) -> Mapping[str, Any]:
    """Wait behind one line of progress."""
    with session.progress("Scanning") as progress:
        return session.client.wait(answer, _counting(session, solution, started, progress), pause=1.0) or {}


def _watched(session: Session, answer: Answer, solution: str, started: str, interval: float) -> Mapping[str, Any]:
    """Watch region by region on standard output; programs get the result alone, so their formats wait."""
    if not session.output.is_for_people:
        return _waited(session, answer, solution, started)

    def look() -> Sight:
        is_over = session.client.status(answer).get("status") in _ENDS
        return list_of(_by_region(session, solution, started), _REGIONS, is_over=is_over)

    present(session, look, watch=True, interval=interval)
    return session.client.wait(answer, pause=0.0) or {}


def _tell(session: Session, solution: str, result: Mapping[str, Any]) -> None:
    """What a finished scan found, could not read, and did not dare to delete."""
    scopes = list(rows_of(session, f"{solution}/providers/Isthmus.Inventory/scopes"))
    gaps = [scope["properties"] for scope in scopes if scope["properties"]["outcome"] != "complete"]
    if session.output.is_tree:
        print_tree({**result, "gaps": gaps}, session.output)
        return
    print_list(_outcomes(result), {"OUTCOME": "outcome", "SCOPES": "scopes"}, session.output)
    if gaps and session.output.is_for_people:
        session.say("")
        columns = {"REGION": "region", "TYPE": "resourceType", "OUTCOME": "outcome", "REASON": "reason", "KEPT": "rows"}
        print_list(gaps, columns, session.output)
    session.say(f"{result.get('projections', 0)} resources are known. See them with: isthmus inventory types")
    for region, count in (result.get("frozen") or {}).items():
        session.say(f"{count} resources vanished in {region} at once, so none was deleted. If that is right: --confirm-deletions")


def _inventory(session: Session, connector: str, name: str) -> str:
    """The id of the connector's inventory configuration."""
    wanted = SHORT["inventory"].lower()
    for solution in session.client.list(f"{connector}/providers/{SOLUTION.type}"):
        if solution["properties"]["solutionType"].lower() == wanted:
            return str(solution["id"])
    raise ArmError(
        "NoSolutionConfigured",
        f"Connector '{name}' has no inventory. Add it with 'isthmus solution create --connector {name} --type inventory'.",
        status=404,
        target=connector,
    )


def _counting(session: Session, solution: str, started: str, progress: Progress) -> Callable[[Mapping[str, Any]], None]:
    """Tells how many scopes are done, every few polls."""
    polls = 0

    def tell(status: Mapping[str, Any]) -> None:
        nonlocal polls
        polls += 1
        if polls % _COUNT_EVERY == 1 and status.get("status") not in _ENDS:
            regions = _by_region(session, solution, started)
            done, resources, gaps = (sum(region[column] for region in regions) for column in ("done", "resources", "gaps"))
            progress.say(f"Scanning: {done} scopes read, {resources} resources, {gaps} gaps")

    return tell


def _by_region(session: Session, solution: str, started: str) -> list[dict[str, Any]]:
    """What was read since the scan began, by region."""
    done: Counter[str] = Counter()
    resources: Counter[str] = Counter()
    gaps: Counter[str] = Counter()
    for scope in rows_of(session, f"{solution}/providers/Isthmus.Inventory/scopes"):
        found = scope["properties"]
        if found["checkedAt"] >= started[:19]:
            done[found["region"]] += 1
            resources[found["region"]] += found["rows"]
            gaps[found["region"]] += found["outcome"] != "complete"
    return [
        {"id": region, "region": region, "done": done[region], "resources": resources[region], "gaps": gaps[region]}
        for region in sorted(done)
    ]


def _outcomes(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: Mapping[str, int] = result.get("outcomes") or {}
    return [{"outcome": outcome, "scopes": count} for outcome, count in sorted(found.items())]
