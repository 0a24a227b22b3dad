"""Names for the shell's completion: from the server that a command would talk to, within a blink, or none at all.

A completion may not disturb: whatever is missing, slow or wrong gives no names and no message. Only names of letters, digits, dots, hyphens
and underscores are offered, because shells evaluate what they are given.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import httpx
import typer
from typer._completion_shared import get_completion_script

from isthmus.arm.errors import ArmError
from isthmus.cli.session import Session, session_from, written

BUDGET = 0.3
VARIABLE = "ISTHMUS_COMPLETION_SECONDS"
_MOST = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_EXPECTED = (ArmError, OSError, ValueError, LookupError, TypeError, AttributeError, httpx.InvalidURL)

Ask = Callable[[Session, dict[str, Any]], Iterable[str]]
Completer = Callable[..., list[str]]


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(session: Session, shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell, for packages and dotfiles; --install-completion sets it up for you."""
    del session
    typer.echo(get_completion_script(prog_name="isthmus", complete_var="_ISTHMUS_COMPLETE", shell=shell.value))


def offering(ask: Ask) -> Completer:
    """A completer that asks the server. `ask` is given a session and the options and arguments so far."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        found: list[str] = []
        with suppress(*_EXPECTED):
            session = _session(ctx)
            found = _within(_budget(), lambda: islice(ask(session, ctx.params), _MOST))
        return [name for name in dict.fromkeys(found) if name.startswith(incomplete) and _NAME.fullmatch(name)]

    return complete


def members(path: str, name: str = "name") -> Ask:
    """Names of a collection below the subscription; `name` is a dotted path in each entry."""

    def ask(session: Session, _given: dict[str, Any]) -> Iterable[str]:
        whole = path if path.startswith("/") else f"{session.root}/{path}"
        return (_text(one, name) for one in session.client.list(whole, query={"$top": str(_MOST)}))

    return ask


def fixed(*names: str) -> Completer:
    """A completer of a few words."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.lower().startswith(incomplete.lower())]

    return complete


def _session(ctx: typer.Context) -> Session:
    """A session of the options before the command and after it, ready to ask: libraries and certificates are loaded before time counts."""
    session = session_from({**ctx.find_root().params, **written(ctx, ctx.params)})
    if session.place.subscription and not session.asked_subscription:
        session.subscription = session.place.subscription
    assert session.client
    return session


def _within(seconds: float, ask: Callable[[], Iterable[str]]) -> list[str]:
    """What is found in time; a thread that still waits ends with the process."""
    found: list[str] = []

    def run() -> None:
        with suppress(*_EXPECTED):
            found.extend(ask())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return [] if thread.is_alive() else found


def _budget() -> float:
    with suppress(ValueError):
        return min(max(float(os.environ.get(VARIABLE, "")), 0.0), 10.0)
    return BUDGET


def _text(entry: Any, path: str) -> str:
    for part in path.split("."):
        entry = entry[part]
    return str(entry)
