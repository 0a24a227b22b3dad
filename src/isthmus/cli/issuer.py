"""`isthmus issuer`: the public documents of the issuer that AWS trusts, and the rotation of its keys, rehearsed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from isthmus.arm.errors import ArmError, conflict
from isthmus.cli.formats import Column
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, settings_in_effect, verb

app = new_app("The issuer that AWS trusts.")

_DISCOVERY = ".well-known/openid-configuration"
ISSUER = "/providers/Isthmus.Identity/issuers/aws"
KEYS: dict[str, Column] = {"KID": "kid", "STATE": "state", "MADE": "createdAt", "UNTIL": "retiresAt", "PUBLISHED": "published"}
ACCOUNTS: dict[str, Column] = {"ACCOUNT": "accountId", "TAKES OUR TOKEN": "taken", "DETAILS": "details"}
STEPS: dict[str, Column] = {"STEP": "name", "OK": "ok", "SEEN": "told"}


@verb(app, "export", examples={"issuer export public": "Write the documents below the folder 'public'"})
def export(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="Folder to write to; publish what is in it under the issuer's URL.")] = Path("issuer"),
) -> None:
    """Write the discovery document and the public keys, to be published where AWS finds them."""
    issuer = (session.place.issuer or settings_in_effect().issuer_url).rstrip("/")
    prefix = urlsplit(issuer).path
    discovery = session.client.document(f"{prefix}/{_DISCOVERY}")
    if discovery["issuer"] != issuer:
        raise ArmError("IssuerMismatch", f"The server's issuer is '{discovery['issuer']}', not '{issuer}'. Set ISTHMUS_ISSUER_URL to that.")
    keys_path = urlsplit(discovery["jwks_uri"]).path
    documents = {_DISCOVERY: discovery, keys_path.removeprefix(prefix).lstrip("/"): session.client.document(keys_path)}
    for name, document in documents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")
        session.say(f"Wrote {file}")
    session.say(f"Publish them so that {issuer}/{_DISCOVERY} answers, with content type application/json. Repeat after a key rotation.")
    if not session.output.is_for_people:
        print_item({"issuer": issuer, "files": [str(folder / name) for name in documents]}, session.output)


@verb(
    app,
    "drill",
    examples={
        "issuer drill --plan": "See the keys, what AWS sees of them, and when the next rotation may be",
        "issuer drill": "Rotate, every step looked at from outside and tried at STS",
        "issuer drill --shorten --yes": "The same before the next key was published for a day: a rehearsal in an evening",
    },
    codes={0: "Every step was as it has to be.", 1: "A step was not, or it was left at the plan because you said no."},
)
def drill(
    session: Session,
    *,
    plan: Annotated[bool, typer.Option("--plan", "--dry-run", help="Look and say what would be done; change nothing.")] = False,
    shorten: Annotated[bool, typer.Option("--shorten", help="Do without the day for which the next key is published.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Rotate the keys that AWS trusts as a drill: look where AWS looks, and try tokens in every account."""
    with session.progress("Looking at what is published, and trying the present key in every account"):
        found = session.client.post(f"{ISSUER}/examine").body
    following = next(one["kid"] for one in found["keys"] if one["state"] == "next")
    _tell_plan(session, found, following, shorten=shorten)
    if plan:
        if not session.output.is_for_people:
            print_item(found, session.output)
        return
    if not yes and not found["nextIsReady"] and not shorten:  # With --yes the server refuses, and writes that down.
        raise conflict(
            f"{following} may sign from {found['nextSignsFrom']} on, a day after it was published. Nothing was changed. Repeat then; "
            "--shorten does without the rest of that day.",
            code="NextKeyTooYoung",
            target=following,
        )
    if not yes and not typer.confirm(f"Let {following} sign from now on? There is no way back to the old key.", err=True):
        raise typer.Exit(1)
    with session.progress("Trying the next key, switching, and looking again"):
        done = session.client.post(f"{ISSUER}/rotate", {"expected": following, "shorten": shorten}).body
    if session.output.is_for_people:
        print_list(done["steps"], STEPS, session.output)
        refusals = [{**one, "taken": _word(one["taken"])} for step in done["steps"] for one in step["accounts"] if not one["taken"]]
        if refusals:
            print_list(refusals, ACCOUNTS, session.output)
    else:
        print_item(done, session.output)
    coming = next(one["kid"] for one in done["keys"] if one["state"] == "next")
    session.say(f"The next key is {coming} now. Where the documents are published as files: isthmus issuer export, and publish them.")
    if not done["ok"]:
        raise typer.Exit(1)


def _tell_plan(session: Session, found: Mapping[str, Any], following: str, *, shorten: bool) -> None:
    if not session.output.is_for_people:
        return
    kids = found["published"]["kids"]
    print_list([{**one, "published": "yes" if one["kid"] in kids else "no"} for one in found["keys"]], KEYS, session.output)
    accounts: Sequence[Mapping[str, Any]] = found["accounts"]
    if accounts:
        print_list([{**one, "taken": _word(one["taken"])} for one in accounts], ACCOUNTS, session.output)
    looked, problem = found["published"]["lookedAt"], found["published"]["problem"]
    session.say(f"Looked at {looked}" + (f": {problem}." if problem else "."))
    lines = [
        f"{following} may sign from {found['nextSignsFrom']}, a day after it was published"
        + (
            " (it may now)."
            if found["nextIsReady"]
            else "; --shorten does without the rest of that day."
            if not shorten
            else ": shortened."
        ),
        f"It is due by itself at {found['dueAt']}, if AWS knows it by then.",
        f"The old key stays published for {found['oldKeyStaysSeconds'] // 3600} h after the switch: a token lives "
        f"{found['tokenSeconds'] // 60} min, and AWS may remember keys for a day.",
    ]
    if not found["published"]["showsNext"]:
        lines.append("AWS does not see the next key: there will be no switch. Publish what 'isthmus issuer export' writes.")
    for line in lines:
        session.say(line)


def _word(taken: bool | None) -> str:
    return "unknown" if taken is None else "yes" if taken else "no"
