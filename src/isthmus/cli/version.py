"""`isthmus version`."""

from __future__ import annotations

import platform

import typer

from isthmus import __version__
from isthmus.cli.output import print_item
from isthmus.cli.session import Session


def version(session: Session) -> None:
    """Show the versions of Isthmus and Python."""
    if session.output.is_for_people:
        typer.echo(f"isthmus {__version__} (Python {platform.python_version()})")
    else:
        print_item({"isthmus": __version__, "python": platform.python_version()}, session.output)
