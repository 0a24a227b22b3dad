"""`isthmus ssm`: a shell on an instance through Session Manager."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli.aws.shells import find_plugin, open_shell, run
from isthmus.cli.aws.taking import Role, take
from isthmus.cli.aws.targets import Reason, Where, find_target, require_available
from isthmus.cli.session import Session

Named = Annotated[str, typer.Argument(help="Instance by its id, or machine by its name or id.")]


def ssm(session: Session, target: Named, *, role: Role = "", region: Where = "", reason: Reason = "") -> None:
    """Open a shell on an instance. It ends with your access; each names its grant in the account's records."""
    place = find_target(session, target, role=role, region=region)
    if role:
        require_available(session, role)
    plugin = find_plugin()
    taken = take(session, place.role, use="shell", region=place.region)
    with open_shell(taken, place, plugin, reason=reason) as shell:
        session.say(f"{place.instance} in {place.region} as {place.role}, session {shell.id}.")
        ended = run(shell.command, shell.environ)
    raise typer.Exit(ended)
