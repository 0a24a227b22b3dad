"""`isthmus scan`: read an account now, watch it, and see what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.connector import SHORT
from isthmus.cli.nouns import CONNECTOR, SOLUTION, Group, Name, find, rows_of
from isthmus.cli.output import Output, Progress, print_json, print_list
from isthmus.cli.session import Session

# Watching costs a list of all scopes; the operation itself is asked more often.
_WATCH_EVERY = 3


def scan(
    session: Session,
    name: Name,
    *,
    group: Group = "",
    confirm_deletions: Annotated[bool, typer.Option("--confirm-deletions", help="Accept that unusually much has vanished.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end.")] = True,
) -> None:
    """Scan the account of a connector now; then say what was found and what could not be read."""
    connector = find(session, CONNECTOR, name, group)
    solution = _inventory(session, connector, name)
    started = datetime.now(UTC).isoformat()
    answer = session.client.post(f"{solution}/syncNow", {"confirmDeletions": True} if confirm_deletions else None)
    if not wait:
        session.say("Started. Follow it with: isthmus operation list")
        return
    with session.progress("Scanning") as progress:
        result = session.client.wait(answer, _watching(session, solution, started, progress), pause=1.0) or {}
    scopes = list(rows_of(session, f"{solution}/providers/Isthmus.Inventory/scopes"))
    gaps = [scope["properties"] for scope in scopes if scope["properties"]["outcome"] != "complete"]
    if session.output is Output.JSON:
        print_json({**result, "gaps": gaps})
        return
    print_list(_outcomes(result), {"OUTCOME": "outcome", "SCOPES": "scopes"}, session.output)
    if gaps:
        session.say("")
        print_list(
            gaps, {"REGION": "region", "TYPE": "resourceType", "OUTCOME": "outcome", "REASON": "reason", "KEPT": "rows"}, session.output
        )
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


def _watching(session: Session, solution: str, started: str, progress: Progress) -> Any:
    """Tells how many scopes are done, every few polls."""
    polls = 0

    def tell(status: Mapping[str, Any]) -> None:
        nonlocal polls
        polls += 1
        if polls % _WATCH_EVERY == 1 and status.get("status") not in ("Succeeded", "Failed", "Canceled"):
            done: Counter[str] = Counter()
            rows = 0
            for scope in rows_of(session, f"{solution}/providers/Isthmus.Inventory/scopes"):
                if scope["properties"]["checkedAt"] >= started[:19]:
                    done[scope["properties"]["outcome"]] += 1
                    rows += scope["properties"]["rows"]
            gaps = done.total() - done["complete"]
            progress.say(f"Scanning: {done.total()} scopes read, {rows} resources, {gaps} gaps")

    return tell


def _outcomes(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: Mapping[str, int] = result.get("outcomes") or {}
    return [{"outcome": outcome, "scopes": count} for outcome, count in sorted(found.items())]
