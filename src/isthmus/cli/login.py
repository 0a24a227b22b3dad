"""`isthmus login` and `isthmus logout`: sign in with a single-use link."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from isthmus.cli.output import clean
from isthmus.cli.session import Session
from isthmus.client import find_server, forget_token, link_parts, sign_in


def login(
    session: Session,
    link: Annotated[str, typer.Argument(help="Sign-in link. Empty: it is asked for, which keeps it out of the shell's history.")] = "",
    *,
    make_link: Annotated[bool, typer.Option("--link", help="Make a sign-in link instead, as the owner of the data folder.")] = False,
) -> None:
    """Sign in with a link, for at most an hour; or make one with --link.

    The owner of the server's data folder needs no sign-in.
    """
    if make_link:
        made = session.client.post("/providers/Isthmus.Identity/signInLinks").body
        session.say(f"Valid for {made['validSeconds'] // 60} minutes, for one sign-in. Whoever has it becomes administrator:")
        typer.echo(clean(made["url"]))
        return
    url, code = link_parts(link or typer.prompt("Sign-in link", hide_input=True, err=True))
    until = sign_in(find_server(session.data, url, os.environ), code, os.environ, time.time)
    session.say(f"Signed in to {url} until {datetime.fromtimestamp(until, UTC):%H:%M} UTC. Elsewhere than on its computer, add --url {url}")


def logout(session: Session) -> None:
    """Forget the sign-in."""
    session.say("Signed out." if forget_token(session.place.url, os.environ) else "There was no sign-in to forget.")
