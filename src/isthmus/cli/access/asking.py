"""`isthmus access`: ask for a role for a time, decide about what others ask for, and see who holds what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from isthmus.cli.access.noun import app
from isthmus.cli.completion import fixed, members, offering
from isthmus.cli.durations import seconds_of
from isthmus.cli.formats import Column
from isthmus.cli.labels import suggesting
from isthmus.cli.nouns import rows_of
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

ACCESS = "/providers/Isthmus.Access"
STATES = ("Pending", "Approved", "Denied", "Withdrawn", "Expired")
_EXAMPLE = "2f6e1c1e-51d7-4a0e-9f0a-6b1f4a528d3e"
roles_known = offering(members(f"{ACCESS}/roles"))
requests_known = offering(members(f"{ACCESS}/requests"))

Role = Annotated[str, typer.Argument(help="Role as account and name: 123456789012.Operator.", autocompletion=roles_known)]
Request = Annotated[str, typer.Argument(help="Id of the request, as 'access requests' shows it.", autocompletion=requests_known)]
Grant = Annotated[str, typer.Argument(help="Id of the grant, as 'access requests --output json' and 'access why' show it.")]
Remark = Annotated[str, typer.Option("--reason", help="Why, for the record.")]

COLUMNS: dict[str, Column] = {
    "ID": "name",
    "ROLE": "properties.role",
    "PERSON": "properties.personName",
    "SECONDS": "properties.seconds",
    "STATE": "properties.state",
    "APPROVALS": lambda item: f"{item['properties']['approvals']} of {item['properties']['approvalsNeeded'] or '?'}",
    "BREAK GLASS": "properties.breakGlass",
    "ASKED": "properties.askedAt",
    "REASON": "properties.reason",
}
REVIEW: dict[str, Column] = {
    "PERSON": "properties.personName",
    "OBJECT ID": "properties.person",
    "ROLE": lambda item: item["properties"]["role"] or _removed(item["properties"]["mapping"]),
    "BECAUSE": "properties.because",
    "LIVING GRANTS": "properties.livingGrants",
    "LAST SESSION": "properties.lastSession",
    "30 DAYS": "properties.sessions30Days",
    "90 DAYS": "properties.sessions90Days",
    "UNUSED SINCE": "properties.unusedSince",
}


@verb(
    app,
    "request",
    examples={
        "access request 123456789012.Operator --reason 'INC-7: queue is stuck' --seconds 30m": "Ask for half an hour",
        "access request 123456789012.Operator --reason 'directory is down' --seconds 900 --break-glass": "Ask two owners instead",
    },
)
def request(
    session: Session,
    role: Role,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why you need it; approvers and auditors read it.")],
    seconds: Annotated[str, typer.Option("--seconds", help="For how long, from the approval on: seconds, or 30m, 2h.")] = "1h",
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Emergency: two owners decide, for an hour at most, and everybody hears of it.")
    ] = False,
) -> None:
    """Ask for a role for a time. It can be taken once enough people have approved; asking again extends it."""
    body = {"reason": reason, "seconds": seconds_of(seconds, "--seconds", least=60), **({"breakGlass": True} if break_glass else {})}
    with suggesting(session, role):
        made = session.client.post(f"{ACCESS}/roles/{role}/request", body).body
    _show(session, made)
    told = made["properties"]
    session.say(f"Asked for {told['role']}; it can be decided until {told['expiresAt']}.")
    session.say(f"Who may decide runs: isthmus access approve {made['name']}")


@verb(
    app,
    "requests",
    examples={"access requests": "See your own and those that you may decide", "access requests --state Pending": "See what waits"},
)
def requests(
    session: Session,
    *,
    state: Annotated[str, typer.Option("--state", help=f"Only in this state: {', '.join(STATES)}.", autocompletion=fixed(*STATES))] = "",
) -> None:
    """List your requests, and those of others that you may decide."""
    query = {"$top": "1000", **({"state": state} if state else {})}
    print_list(session.client.list(f"{ACCESS}/requests", query=query), COLUMNS, session.output)


@verb(
    app,
    "approve",
    examples={f"access approve {_EXAMPLE}": "Approve it", f"access approve {_EXAMPLE} --reason 'agreed on the phone'": "And say why"},
)
def approve(session: Session, id: Request, *, reason: Remark = "") -> None:
    """Approve a request. With enough approvals the role can be taken at once, until the asked time is over."""
    made = _act(session, id, "approve", {"reason": reason} if reason else None)
    told = made["properties"]
    missing = (told["approvalsNeeded"] or 0) - told["approvals"]
    done = f"Approved {_of(made)}"
    session.say(f"{done}; {missing} more must approve." if missing > 0 else f"{done}. Grant {told['grant']} begins now.")


@verb(app, "deny", examples={f"access deny {_EXAMPLE} --reason 'not during the freeze'": "Deny it"})
def deny(session: Session, id: Request, *, reason: Annotated[str, typer.Option("--reason", help="Why; who asked reads it.")]) -> None:
    """Deny a request. One approver is enough."""
    session.say(f"Denied {_of(_act(session, id, 'deny', {'reason': reason}))}.")


@verb(app, "withdraw", examples={f"access withdraw {_EXAMPLE}": "Take it back"})
def withdraw(session: Session, id: Request) -> None:
    """Withdraw a request of yours that nobody has decided."""
    session.say(f"Withdrew {_of(_act(session, id, 'withdraw', None))}.")


@verb(
    app,
    "end",
    examples={
        "access end G-ABCDEFGHIJKLMNOP": "Give a role back before its time is over",
        "access end G-ABCDEFGHIJKLMNOP --reason 'INC-7 is solved'": "And say why",
    },
)
def end(session: Session, grant: Grant, *, reason: Remark = "") -> None:
    """End a grant now: your own, or anybody's where you may change the tenant. Sessions under it are denied."""
    id = grant.rpartition("/")[2]
    made = session.client.post(f"{ACCESS}/grants/{id}/end", {"reason": reason} if reason else None).body
    if not session.output.is_for_people:
        print_item({"grant": id, **made}, session.output)
    if made.get("wasOver"):
        session.say(f"Grant {id} was over already; nothing changed.")
        return
    follow = "" if made.get("isOwn") or not made["revocations"] else " What accounts still have to deny: isthmus access revocations"
    session.say(f"Grant {id} is ended; nothing new is given on it.{follow}")


@verb(app, "acknowledge", examples={f"access acknowledge {_EXAMPLE} --reason 'read the trail, nothing odd'": "Say that you have looked"})
def acknowledge(session: Session, id: Request, *, reason: Remark = "") -> None:
    """Say, as an owner, that you have looked at what was done under a broken glass.

    Until then the portal's home page shows it as something that needs a person.
    """
    made = _act(session, id, "acknowledge", {"reason": reason} if reason else None)
    session.say(f"Acknowledged {_of(made)}.")


@verb(
    app,
    "review",
    examples={"access review": "See who holds what, and whether they use it", "access review --output csv": "For a spreadsheet"},
)
def review(session: Session) -> None:
    """List who holds or held which role, why, and how much it is used.

    Sessions are counted over 30 and 90 days; unused is what was not taken for 30 days.
    """
    print_list(rows_of(session, f"{ACCESS}/reviews"), REVIEW, session.output)


def _act(session: Session, id: str, action: str, body: dict[str, Any] | None) -> dict[str, Any]:
    made: dict[str, Any] = session.client.post(f"{ACCESS}/requests/{id.rpartition('/')[2]}/{action}", body).body
    _show(session, made)
    return made


def _show(session: Session, made: dict[str, Any]) -> None:
    """The whole request for programs; people are told in a sentence."""
    if not session.output.is_for_people:
        print_item(made, session.output, COLUMNS)


def _of(made: dict[str, Any]) -> str:
    told = made["properties"]
    return f"the request of {told['personName'] or told['person']} for {told['role'] or _removed(told['mapping'])}"


def _removed(mapping: str) -> str:
    """What is left of a role whose mapping is gone: its connector and its name, as they stand in the id."""
    parts = mapping.strip("/").split("/")
    return f"{parts[-5]}.{parts[-1]} (removed)" if len(parts) > 4 else mapping
