"""`isthmus audit`: everything that was accepted or refused, in one chain."""

from __future__ import annotations

from collections import deque
from typing import Annotated

import typer

from isthmus.cli.formats import Column
from isthmus.cli.nouns import new_app, rows_of
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

app = new_app("What was accepted or refused, in one chain.")

RECORDS = "/providers/Isthmus.Audit/records"
COLUMNS: dict[str, Column] = {
    "NUMBER": lambda item: int(item["name"]),
    "AT": "properties.at",
    "ACTOR": "properties.actor",
    "ACTION": "properties.action",
    "OUTCOME": "properties.outcome",
    "TARGET": "properties.target",
}


@verb(
    app,
    "list",
    examples={
        "audit list": "See the last 50 records",
        "audit list --refused --last 0": "See every refusal",
        "audit list --last 0 --output csv": "Hand everything to an auditor",
    },
)
def listing(
    session: Session,
    *,
    last: Annotated[int, typer.Option("--last", min=0, help="Only the last ones; 0 for all.")] = 50,
    refused: Annotated[bool, typer.Option("--refused", help="Only refusals.")] = False,
) -> None:
    """List records, the latest last."""
    found = (one for one in rows_of(session, RECORDS) if not refused or one["properties"]["outcome"] == "refused")
    print_list(deque(found, maxlen=last) if last else found, COLUMNS, session.output)


@verb(app, "verify", examples={"audit verify": "Check every record"}, codes={1: "The chain is broken, or it could not be read."})
def verify(session: Session) -> None:
    """Check the whole chain; exit code 1 when a record was changed or removed."""
    body = session.client.post(RECORDS).body
    print_item(body, session.output)
    if not body["valid"]:
        session.say(f"Record {body['firstBroken']} does not fit the chain: it, or one before it, was changed or removed.")
        raise typer.Exit(1)
