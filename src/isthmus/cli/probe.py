"""`python -m isthmus.cli.probe`: whether the server of this environment is ready, for container engines; exit code 0 or 1, one line."""

from __future__ import annotations

import sys

from isthmus.arm.errors import ArmError
from isthmus.cli.session import settings_in_effect
from isthmus.client import Client

_PATIENCE = 4.0


def probe() -> str:
    """Ask `/readyz` of the server on this computer; an empty text when it is ready, otherwise what is wrong."""
    try:
        settings = settings_in_effect()
        ca = settings.keys / "ca.pem"
        if not ca.is_file():
            return f"there is no CA in '{settings.keys}' yet"
        with Client(f"https://localhost:{settings.port}", lambda: "", verify=(ca,), timeout=_PATIENCE) as client:
            client.document("/readyz")
    except ArmError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    problem = probe()
    sys.stderr.write(f"{problem or 'ready'}\n")
    raise SystemExit(1 if problem else 0)
