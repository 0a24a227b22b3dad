"""`isthmus db`: the database as a whole."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.formats import Output
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_item
from isthmus.cli.session import Session, settings_in_effect, verb

app = new_app("The database as a whole.")

TARGET = "ISTHMUS_TARGET_DATABASE_URL"


@verb(
    app,
    "copy",
    examples={
        "db copy --to postgresql://isthmus@db.example.org/isthmus": "To an empty PostgreSQL database",
        "db copy": f"To the one that {TARGET} names, which may carry a password",
    },
    environment={TARGET: "URL of the database to copy to; a password may stand in it."},
)
def copy(
    session: Session,
    *,
    to: Annotated[str, typer.Option("--to", help=f"URL of an empty database, without a password. Empty: {TARGET}.")] = "",
) -> None:
    """Copy everything to another, empty database, while no server runs.

    From SQLite to PostgreSQL, or between PostgreSQL servers.
    """
    if to and has_password(to):
        raise ArmError(
            "PasswordInArguments",
            f"Arguments are visible to everybody on this computer. Put the URL with its password into {TARGET}, or leave the password to "
            "PGPASSWORD or a password file. Nothing was copied; change the password if others use this computer.",
        )
    target = to or os.environ.get(TARGET, "")
    if not target:
        raise ArmError("NoTarget", f"Name the database to copy to, with --to or {TARGET}.")
    settings = settings_in_effect().model_copy(update={"data": session.data})
    with session.progress("Copying the database") as progress:
        counts = import_module("isthmus.transfer").copy_database(settings.database, target, progress.say)
    if session.output is not Output.TABLE:
        print_item({"tables": dict(counts), "rows": sum(counts.values())}, session.output)
    session.say(f"Copied {sum(counts.values())} rows in {len(counts)} tables; the audit chain holds. Serve them by ISTHMUS_DATABASE_URL.")


def has_password(url: str) -> bool:
    """Whether a URL carries a password, in its authority or in its query."""
    try:
        parts = urlsplit(url)
        return parts.password is not None or any("password" in name.lower() for name, _ in parse_qsl(parts.query))
    except ValueError:
        return True
