"""`isthmus doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import Annotated, Any

import typer

from isthmus.cli.formats import Column
from isthmus.cli.output import print_list
from isthmus.cli.session import Session

COLUMNS: dict[str, Column] = {
    "CHECK": "check",
    "RESULT": lambda item: {"notChecked": "not checked"}.get(item["result"], item["result"]),
    "DETAIL": "detail",
    "REMEDY": "remedy",
}
BRIEF: dict[str, Column] = {
    "CHECK": "check",
    "RESULT": COLUMNS["RESULT"],
    "DETAIL": lambda item: " → ".join(filter(None, (item["detail"], item["remedy"]))),
}


def doctor(
    session: Session,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody outside this computer.")] = False,
) -> None:
    """Look for what is wrong: data folder, keys, database, port, server, issuer, AWS, clock, Azure clients. Nothing is changed.

    Each check ends as ok, warning, failed or not checked, with a remedy where there is something to do. It works without a server.
    """
    checkup: Any = import_module("isthmus.cli.checkup")
    with session.progress("Looking") as progress:
        found = []
        for finding in checkup.findings(session, checkup.Probes(), is_offline=offline):
            progress.say(f"Looked at: {finding.check}")
            found.append({"check": finding.check, "result": str(finding.result), "detail": finding.detail, "remedy": finding.remedy})
    print_list(found, BRIEF if session.output.is_for_people else COLUMNS, session.output)
    counts = Counter(one["result"] for one in found)
    session.say(f"{counts['failed']} failed, {counts['warning']} warnings, {counts['ok']} ok, {counts['notChecked']} not checked.")
    if counts["failed"]:
        raise typer.Exit(1)
