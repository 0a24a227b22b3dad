"""`isthmus settings`: every setting of the server."""

from __future__ import annotations

import os

from isthmus.cli.output import print_list
from isthmus.cli.session import Session
from isthmus.settings import Settings


def settings(session: Session) -> None:
    """List the settings of the server: environment variable, default, whether it is set here, meaning."""
    rows = [
        {
            "variable": f"ISTHMUS_{name.upper()}",
            "default": "" if field.default is None else str(field.default),
            "set": f"ISTHMUS_{name.upper()}" in os.environ,
            "help": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    print_list(rows, {"VARIABLE": "variable", "DEFAULT": "default", "SET": "set", "MEANING": "help"}, session.output)
