"""`isthmus login`, `isthmus logout` and `isthmus whoami`: people sign in, by browser, device code or link."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.browser import open_page
from isthmus.cli.formats import Column, pick
from isthmus.cli.output import clean, print_item
from isthmus.cli.session import ME, Session
from isthmus.client import Client, PersonSignIn, kept_until, link_parts, named_ca, operator_token, remember_ca, sign_in, sign_out

COLUMNS: dict[str, Column] = {
    "NAME": "name",
    "OBJECT ID": "objectId",
    "SIGNED IN BY": "signedInBy",
    "PROVIDER": "signIn.provider",
    "METHODS": lambda item: " ".join((item["signIn"] or {}).get("methods", [])),
    "GROUPS": lambda item: _groups(item["signIn"]),
    "UNTIL": "until",
}


def login(
    session: Session,
    link: Annotated[str, typer.Argument(help="Sign-in link; - asks for it, which keeps it out of the shell's history.")] = "",
    *,
    device_code: Annotated[bool, typer.Option("--device-code", help="Show a code to enter in a browser elsewhere.")] = False,
    make_link: Annotated[bool, typer.Option("--link", help="Make a sign-in link instead, as the owner of the data folder.")] = False,
) -> None:
    """Sign in with the browser of this computer, a browser elsewhere (--device-code) or a link.

    With --link, make a link instead. A sign-in lasts as long as the server lets one (12 hours unless set otherwise), by link an hour;
    'isthmus logout' ends it. The owner of the server's data folder needs none.
    """
    if sum((bool(link), device_code, make_link)) > 1:
        raise ArmError("InvalidUsage", "A link, --device-code and --link exclude each other. Choose one.")
    if make_link:
        with Client(session.place.url, operator_token(session.place, time.time), verify=session.place.ca) as owner:
            made = owner.post("/providers/Isthmus.Identity/signInLinks").body
        session.say(f"Valid for {made['validSeconds'] // 60} minutes, for one sign-in. Whoever has it becomes administrator:")
        typer.echo(clean(made["url"]))
        return
    if link:
        url, code = link_parts(typer.prompt("Sign-in link", hide_input=True, err=True) if link == "-" else link)
        until = sign_in(session.server_at(url), code, os.environ, time.time)
    else:
        url, person = session.place.url, PersonSignIn(place=session.place, environ=os.environ, clock=time.time)
        until = (
            person.with_device_code(lambda begun: _show_code(session, begun), session.sleep)
            if device_code
            else person.with_browser(lambda address: _open(session, address))
        )
    if (ca := named_ca(session.environ)) is not None:
        remember_ca(os.environ, url, ca)
    session.say(f"Signed in to {url} until {_moment(until)}. Elsewhere than on its computer, add --url {url}")


def logout(session: Session) -> None:
    """End the sign-in and forget it."""
    try:
        was_there = sign_out(session.place, os.environ)
    except ArmError as error:
        session.say(f"Signed out here. The server could not be told, so there the sign-in ends by itself: {error.message}")
        return
    session.say("Signed out." if was_there else "There was no sign-in to forget.")


def whoami(session: Session) -> None:
    """Show who you are to the server: name, object id, how you signed in, and until when.

    Groups are those of the provider's token. 'Not told' means that it named none or not all of them, not that there are none.
    """
    (me,) = (dict(one["properties"]) for one in session.client.list(ME))
    until = kept_until(session.place, os.environ, time.time) if not os.environ.get("ISTHMUS_CLIENT_ID") else 0.0
    by = "client of the environment" if os.environ.get("ISTHMUS_CLIENT_ID") else "the data folder's key"
    item = {
        "name": me["name"],
        "objectId": me["objectId"],
        "kind": me["kind"],
        "signedInBy": ("provider" if me["signIn"] else "link") if until else by,
        "signIn": me["signIn"],
        "until": datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if until else None,
    }
    if session.output.is_for_people:
        shown = {title: pick(item, column) for title, column in COLUMNS.items()}
        print_item({title.capitalize(): value for title, value in shown.items() if value not in (None, "")}, session.output)
    else:
        print_item(item, session.output, COLUMNS)


def _show_code(session: Session, begun: Mapping[str, Any]) -> None:
    session.say(f"Open {clean(begun['verification_uri'])} in a browser and enter the code {clean(begun['user_code'])}")
    session.say("Allow it only where it shows the same code. Nobody else may ask you to enter one.")


def _open(session: Session, address: str) -> None:
    """Show the address, and open it where there is a browser."""
    session.say(f"Sign in with your browser: {clean(address)}")
    if not open_page(address):
        session.say("No browser on this computer? Run: isthmus login --device-code")


def _moment(until: float) -> str:
    return f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"


def _groups(signed_in: Mapping[str, Any] | None) -> str:
    if signed_in is None:
        return ""
    groups = signed_in["groups"]
    return "not told" if groups is None else " ".join(groups) or "none"
