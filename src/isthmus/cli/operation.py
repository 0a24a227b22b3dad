"""`isthmus operation`: work that was started and may still run."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.completion import members, offering
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_item
from isthmus.cli.session import Session, verb
from isthmus.cli.watch import Interval, Sight, Watch, list_of, present

app = new_app("Work that was started and may still run.")

TYPE = "Isthmus.Operations/longRunningOperations"
EXAMPLE = "4f3c2b1a-0d9e-4c8b-a7f6-5e4d3c2b1a09"
KNOWN = {"id": offering(members(f"providers/{TYPE}"))}
Id = Annotated[str, typer.Argument(help="Id of the operation.")]
COLUMNS = {
    "ID": "name",
    "KIND": "properties.kind",
    "STATUS": "properties.status",
    "STARTED": "properties.startTime",
    "ENDED": "properties.endTime",
    "RESOURCE": "properties.resourceId",
}


@verb(
    app,
    "list",
    examples={"operation list": "See what was started", "operation list --running --watch": "Watch until nothing runs any more"},
)
def listing(
    session: Session,
    *,
    running: Annotated[bool, typer.Option("--running", help="Only those that have not ended.")] = False,
    watch: Watch = False,
    interval: Interval = 2.0,
) -> None:
    """List operations of the subscription, the latest first. With --running, watching ends when none runs."""

    def look() -> Sight:
        found = session.client.list(f"{session.root}/providers/{TYPE}", query={"$top": "1000"})
        chosen = [one for one in found if not (running and one["properties"].get("endTime"))]
        chosen.sort(key=lambda one: str(one["properties"]["startTime"]), reverse=True)
        return list_of(chosen, COLUMNS, is_over=running and not chosen)

    present(session, look, watch=watch, interval=interval)


@verb(
    app,
    "show",
    examples={f"operation show {EXAMPLE}": "See its result or error", f"operation show {EXAMPLE} --watch": "Watch it until its end"},
    complete=KNOWN,
    codes={1: "It could not be read; with --watch also: it failed or was cancelled."},
)
def show(session: Session, id: Id, *, watch: Watch = False, interval: Interval = 2.0) -> None:
    """Show one operation with its result or error; with --watch until it has ended."""

    def look() -> Sight:
        found = session.client.get(f"{session.root}/providers/{TYPE}/{id}")
        columns = {} if session.output.is_for_people else COLUMNS
        return Sight(item=found, columns=columns, is_over=bool(found["properties"].get("endTime")))

    seen = present(session, look, watch=watch, interval=interval)
    if watch and seen.item is not None and seen.item["properties"]["status"] != "Succeeded":
        raise typer.Exit(1)


@verb(
    app,
    "wait",
    examples={f"operation wait {EXAMPLE} --timeout 600": "Go on when it has ended, or after ten minutes"},
    complete=KNOWN,
    codes={1: "It failed, was cancelled, or did not end in time."},
)
def wait(
    session: Session,
    id: Id,
    *,
    timeout: Annotated[int, typer.Option("--timeout", min=1, help="Seconds to wait at most.")] = 3600,
) -> None:
    """Wait for the end of an operation; exit code 1 when it failed."""
    path = f"{session.root}/providers/{TYPE}/{id}"
    deadline = time.monotonic() + timeout
    with session.progress(f"Waiting for {id}"):
        found = session.client.get(path)
        while not found["properties"].get("endTime"):
            if time.monotonic() > deadline:
                raise ArmError("WaitTimedOut", f"Operation '{id}' has not ended within {timeout} seconds. It goes on.", target=id)
            session.sleep(1)
            found = session.client.get(path)
    print_item(found, session.output, COLUMNS)
    if found["properties"]["status"] != "Succeeded":
        raise typer.Exit(1)
