"""`isthmus operation`: work that was started and may still run."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

app = new_app("Work that was started and may still run.")

TYPE = "Isthmus.Operations/longRunningOperations"
Id = Annotated[str, typer.Argument(help="Id of the operation.")]
COLUMNS = {
    "ID": "name",
    "KIND": "properties.kind",
    "STATUS": "properties.status",
    "STARTED": "properties.startTime",
    "ENDED": "properties.endTime",
    "RESOURCE": "properties.resourceId",
}


@verb(app, "list")
def listing(
    session: Session,
    *,
    running: Annotated[bool, typer.Option("--running", help="Only those that have not ended.")] = False,
) -> None:
    """List operations of the subscription, the latest first."""
    found = session.client.list(f"{session.root}/providers/{TYPE}")
    chosen = [one for one in found if not (running and one["properties"].get("endTime"))]
    print_list(sorted(chosen, key=lambda one: str(one["properties"]["startTime"]), reverse=True), COLUMNS, session.output)


@verb(app, "show")
def show(session: Session, id: Id) -> None:
    """Show one operation with its result or error."""
    print_item(session.client.get(f"{session.root}/providers/{TYPE}/{id}"), session.output)


@verb(app, "wait")
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
            time.sleep(1)
            found = session.client.get(path)
    print_item(found, session.output)
    if found["properties"]["status"] != "Succeeded":
        raise typer.Exit(1)
