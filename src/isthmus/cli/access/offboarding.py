"""`isthmus access offboard`: a person's access ends everywhere, and the seconds that it took are measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from isthmus.cli.access.noun import app
from isthmus.cli.access.people import find_person
from isthmus.cli.formats import Column
from isthmus.cli.nouns import Sure
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

PEOPLE = "/providers/Isthmus.Access/people"
REVOCATIONS = "/providers/Isthmus.Access/revocations"
COLUMNS: dict[str, Column] = {
    "ID": "name",
    "PERSON": lambda item: item["properties"].get("personName") or item["properties"]["person"],
    "STATE": "properties.state",
    "SECONDS": "properties.seconds",
    "READMITTED": "properties.readmittedAt",
    "AT": "properties.at",
    "REASON": "properties.reason",
}
ACCOUNTS: dict[str, Column] = {
    "CONNECTOR": lambda item: str(item["connector"]).rpartition("/")[2],
    "STATE": "state",
    "SECONDS": "seconds",
    "SHELLS": "shells",
    "DETAILS": "details",
}

Person = Annotated[str, typer.Argument(help="Object id, mail address or name of somebody who has signed in here.")]


@verb(
    app,
    "offboard",
    examples={
        "access offboard alice@example.com": "End everything she has, and see how long it took",
        "access offboard 6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38 --reason 'left the company' --yes": "In a script",
    },
    codes={0: "Every account denies.", 1: "An account does not deny yet; it is tried again each minute."},
)
def offboard(
    session: Session,
    person: Person,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit.")] = "Offboarded.",
    yes: Sure = False,
    wait_seconds: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for accounts to deny.")] = 120.0,
) -> None:
    """End a person's access: sign-ins, grants, sessions and shells. Nothing is minted any more from the first moment on."""
    id, name = find_person(session, person)
    if not yes and not typer.confirm(f"End all access of {name} ({id})?", err=True):
        raise typer.Exit(1)
    began = time.monotonic()
    found = session.client.post(f"{PEOPLE}/{id}/offboard", {"reason": reason}).body
    with session.progress(f"No new credentials for {name} since {found['properties']['at']}; accounts are made to deny") as progress:
        while found["properties"]["state"] != "Denied" and time.monotonic() - began < wait_seconds:
            session.sleep(0.2)
            found = session.client.get(f"{REVOCATIONS}/{found['name']}")
            denied = sum(one["state"] == "Denied" for one in found["properties"]["accounts"])
            progress.say(f"{denied} of {len(found['properties']['accounts'])} accounts deny")
    _tell(session, name, found)
    if any(one["isDirect"] for one in found["properties"]["accounts"]):
        session.say(
            f"Accounts that trust your directory themselves deny {name} for a day, as far as their sessions carry the object id. "
            "New sign-ins only the directory stops: disable the person there now."
        )
    if found["properties"]["state"] != "Denied":
        raise typer.Exit(1)


@verb(app, "readmit", examples={"access readmit alice@example.com": "Let her in again, as far as her groups reach"})
def readmit(session: Session, person: Person, *, yes: Sure = False) -> None:
    """Let a person in again. Sessions from before stay denied. It asks nothing, so that --yes changes nothing."""
    del yes
    id, name = find_person(session, person)
    lifted = session.client.post(f"{PEOPLE}/{id}/readmit").body["lifted"]
    session.say(f"{name} may come in again." if lifted else f"{name} was not shut out.")


@verb(
    app,
    "revocations",
    examples={
        "access revocations": "See what was taken away, and how soon it was denied",
        "access revocations --output csv": "For an auditor",
    },
)
def listing(session: Session) -> None:
    """List what was taken away."""
    print_list(session.client.list(REVOCATIONS), COLUMNS, session.output)


def _tell(session: Session, name: str, found: Mapping[str, Any]) -> None:
    properties = found["properties"]
    if not session.output.is_for_people:
        print_item(found, session.output)
        return
    print_list(properties["accounts"], ACCOUNTS, session.output)
    if properties["state"] == "Denied" and properties["seconds"] is not None:
        session.say(f"{name}: {properties['seconds']} s from the command to the first AccessDenied of the slowest account.")
    elif properties["state"] == "Denied":
        session.say(f"{name} holds nothing in any account; no session had to be ended.")
    else:
        session.say(
            f"{name} gets no new credentials, and leases end within five minutes; some accounts do not deny yet and are tried again."
        )
