"""`isthmus audit`: everything that was accepted or refused, in one chain; and who did what in the accounts."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from isthmus.arm.errors import ArmError
from isthmus.cli.database import has_password
from isthmus.cli.formats import Column
from isthmus.cli.nouns import new_app, rows_of
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, settings_in_effect, verb


class Audit(TyperGroup):
    """`isthmus audit --person …` is short for `isthmus audit timeline --person …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options before any command are the timeline's."""
        return super().parse_args(ctx, ["timeline", *args] if args and args[0].startswith("--") and args[0] != "--help" else args)


app = new_app("What was accepted or refused, in one chain; and who did what in the accounts.")
app.info.cls = Audit

TIMELINE = "/providers/Isthmus.Access/timeline"
RECORDS = "/providers/Isthmus.Audit/records"
COLUMNS: dict[str, Column] = {
    "NUMBER": lambda item: int(item["name"]),
    "AT": "properties.at",
    "ACTOR": lambda item: item["properties"].get("actorName") or item["properties"]["actor"],
    "ACTION": "properties.action",
    "OUTCOME": "properties.outcome",
    "CODE": "properties.detail.code",
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


ENTRIES: dict[str, Column] = {
    "AT": "properties.at",
    "KIND": "properties.kind",
    "WHAT": lambda item: _what(item["properties"]),
    "OUTCOME": lambda item: _outcome(item["properties"]),
    "ACCOUNT": "properties.account",
    "PERSON": lambda item: _who(item["properties"]),
    "GRANT": "properties.grant",
    "SESSION": lambda item: item["properties"]["session"] or item["properties"].get("accessKeyId") or "",
}


_FOR_PEOPLE: dict[str, Column] = {**ENTRIES, "WHAT": lambda item: _what(item["properties"], short=True)}


def _who(entry: dict[str, Any]) -> str:
    """Whose it is; for nobody's, why."""
    why = str(entry.get("foreignBecause") or entry.get("foreign") or "")
    return str(entry.get("personName") or entry["person"] or (f"({why.rstrip('.')})" if why else ""))


def _outcome(entry: dict[str, Any]) -> str:
    """What AWS refused a call with; otherwise it was allowed, and a grant or session may be over before its time."""
    return entry.get("outcome") or ("Ended" if entry.get("endedAt") else "Revoked" if entry.get("revokedAt") else "Allowed")


def _what(entry: dict[str, Any], *, short: bool = False) -> str:
    """`short`: of ARNs only what follows the account, which has a column of its own."""
    match entry["kind"]:
        case "SignIn":
            return f"{entry['name']} by {entry['issuer']}{' from ' + entry['address'] if entry.get('address') else ''}"
        case "Grant":
            return f"{entry.get('role') or entry['mapping'].rpartition('/')[2]} because of {' '.join(entry['because'].split(':', 1))}"
        case "Session":
            return f"{entry['use']}: {entry.get('role') or entry['roleArn'].rpartition('/')[2]}"
    resources = [one.split(":", 5)[-1] if short else one for one in entry["resources"]]
    return f"{entry['service']}:{entry['operation']} {' '.join(resources)}".rstrip()


@verb(
    app,
    "timeline",
    examples={
        "audit timeline --person alice@example.com --since 8h": "What she did today, from her sign-in to every call",
        "audit timeline --machine i-0123456789abcdef0": "Who touched a machine",
        "audit timeline --grant G-ABCDEFGHIJKLMNOP --output json": "What was done under a grant, for a program",
        "audit timeline --session ASIAEXAMPLE --last 0": "Every call of one session",
        "audit timeline --since 1h --all": "Everything in the accounts, what Isthmus called included",
    },
)
def timeline(
    session: Session,
    *,
    person: Annotated[str, typer.Option("--person", help="Mail address, name or object id.")] = "",
    machine: Annotated[str, typer.Option("--machine", help="Instance id.")] = "",
    access_key: Annotated[str, typer.Option("--session", help="Access key id of a session.")] = "",
    grant: Annotated[str, typer.Option("--grant", help="Id of a grant.")] = "",
    since: Annotated[str, typer.Option("--since", help="An instant, or a time ago: 30m, 8h, 7d.")] = "",
    last: Annotated[int, typer.Option("--last", min=0, help="Only the newest ones; 0 for all.")] = 50,
    whole: Annotated[bool, typer.Option("--all", help="Of everybody, also what Isthmus itself called.")] = False,
) -> None:
    """Show who did what, newest first: sign-ins, grants, sessions, calls and shells. The word 'timeline' may be left out.

    Without a person, machine, session or grant it is of everybody, without what Isthmus itself called.
    """
    asked = {"person": person, "machine": machine, "session": access_key, "grant": grant, "since": since, "all": "true" if whole else ""}
    query = {name: value for name, value in asked.items() if value}
    if last:
        query["$top"] = str(min(last, 1000))
    listed = session.client.list(TIMELINE, query=query)
    found: Iterator[dict[str, Any]] = itertools.islice(listed, last) if last else iter(listed)
    if (grant or access_key) and not since:
        first = next(found, None)
        if first is None:
            what, given = ("grant", grant) if grant else ("session", access_key)
            told = f"The timeline knows no {what} '{given[:64]}'. Look for it: isthmus audit timeline"
            raise ArmError("NothingFound", told, status=404, target=given)
        found = itertools.chain([first], found)
    print_list(found, _FOR_PEOPLE if session.output.is_for_people else ENTRIES, session.output)


@verb(
    app,
    "verify",
    examples={
        "audit verify": "Have the server check its chain",
        "audit verify --archive isthmus.backup --anchor anchor": "Check a backup and the second store, without a server",
        "audit verify --database sqlite:///isthmus.db --anchor anchor": "Check the database itself",
    },
    codes={1: "Something was changed or removed, or it could not be read."},
)
def verify(
    session: Session,
    *,
    archive: Annotated[Path | None, typer.Option("--archive", help="Check the database in an archive of 'isthmus backup'.")] = None,
    database: Annotated[str, typer.Option("--database", help="Check a database by its URL, without a password in it.")] = "",
    anchor: Annotated[str, typer.Option("--anchor", help="Folder of the second store. Empty: the setting ISTHMUS_AUDIT_ANCHOR.")] = "",
) -> None:
    """Check the audit log; exit code 1 when something was changed or removed.

    The server checks the chain of its records. With --archive or --database no server is asked: records, events of the trails with whose
    they are, signed checkpoints and the second store are checked, and what does not fit is named.
    """
    if archive is not None and database:
        raise ArmError("ContradictingOptions", "Name --archive or --database, not both.")
    if archive is None and not database:
        _verify_served(session)
        return
    if database and has_password(database):
        raise ArmError("PasswordInArguments", "Arguments are visible to everybody on this computer. Leave the password to PGPASSWORD.")
    settings = settings_in_effect()
    place = anchor or settings.audit_anchor
    with session.progress("Checking the log"):
        check = import_module("isthmus.access.proof").verify_offline
        found = check(database, archive.expanduser().absolute() if archive else None, place, settings.issuer_url)
    told = [{"where": one.where, "what": one.what} for one in found.findings]
    counts = {**found.counts, "believed": found.believed}
    print_item({"valid": not told, **counts, "covered": found.covered, "beginsAfter": found.cut, "findings": told}, session.output)
    if not place:
        session.say("No second store was looked at: who can change the database could have made all of it anew. Name it with --anchor.")
    if found.cut:
        session.say(
            f"The trail begins after event {found.cut}: those before it were deleted by retention, and only their checkpoints are left."
        )
    if found.believed:
        why = "no event tells of their session's exchange, and that record is under no checkpoint"
        session.say(f"Events that are somebody's by Isthmus' own record alone ({why}): {found.believed}.")
    for one in found.findings:
        session.say(f"{one.where}: {one.what}")
    if told:
        raise typer.Exit(1)


def _verified(body: dict[str, Any]) -> str:
    """How much was looked at, and what proves that it was not all made anew."""
    fits, point = f"All {body['records']} records fit the chain.", body.get("checkpoint")
    if not point:
        return f"{fits} No checkpoint was signed yet."
    signed = f"{fits} The newest checkpoint covers {point['size']} of them, signed {point['at']}"
    if not point["anchoredAt"]:
        return f"{signed}; no second store has it: see the setting ISTHMUS_AUDIT_ANCHOR."
    compare = "Compare both: isthmus audit verify --database URL --anchor FOLDER"
    return f"{signed}, and the second store has it since {point['anchoredAt']}. {compare}"


def _verify_served(session: Session) -> None:
    body = session.client.post(RECORDS).body
    if not session.output.is_for_people:
        print_item(body, session.output)
    elif body["valid"]:
        session.say(_verified(body))
    if not body["valid"]:
        session.say(f"Record {body['firstBroken']} does not fit the chain: it, or one before it, was changed or removed.")
        raise typer.Exit(1)
