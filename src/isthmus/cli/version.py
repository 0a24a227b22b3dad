"""`isthmus version`."""

from __future__ import annotations

import platform

from isthmus import __version__
from isthmus.cli.output import Output, print_json
from isthmus.cli.session import Session


def version(session: Session) -> None:
    """Show the versions of Isthmus and Python."""
    if session.output is Output.JSON:
        print_json({"isthmus": __version__, "python": platform.python_version()})
    else:
        print(f"isthmus {__version__} (Python {platform.python_version()})")  # noqa: T201 - the command's result
