"""`isthmus serve`: start the program. Its parts are loaded only here, so that other commands start quickly."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.session import Session, settings_in_effect


def serve(
    session: Session,
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen on. Empty: the setting.")] = "",
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port. Unset: the setting; 0: any free one.")] = None,
    exact_port: Annotated[bool, typer.Option("--exact-port", help="Fail when the port is taken, instead of using a free one.")] = False,
    work_only: Annotated[bool, typer.Option("--work-only", help="Do durable work alone: no API, only health and metrics.")] = False,
    accept_new_keys: Annotated[
        bool, typer.Option("--accept-new-keys", help="Start although the database was last used with other signing keys, which are lost.")
    ] = False,
    log_file: Annotated[Path | None, typer.Option("--log-file", help="Write the log there instead of standard error.")] = None,
) -> None:
    """Run API, issuer and durable work until interrupted."""
    given = {"host": host or None, "port": port}
    changed = {name: value for name, value in given.items() if value is not None}
    settings = settings_in_effect().model_copy(update={"data": session.data, **changed})
    import_module("isthmus.cli.server").run(
        settings, exact_port=exact_port, work_only=work_only, accepts_new_keys=accept_new_keys, log_file=log_file
    )
