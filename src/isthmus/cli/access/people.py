"""People as they are named in a command line: by object id, mail address or name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from isthmus.arm.errors import ArmError, person_not_unique
from isthmus.cli.session import Session

DIRECTORY = "/providers/Isthmus.Identity/people"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def find_person(session: Session, given: str) -> tuple[str, str]:
    """Object id and name of whom is meant; an object id is taken as it is. ArmError 404 `PersonNotFound`, 409 `PersonNotUnique`."""
    if _UUID.fullmatch(given):
        return given.lower(), given
    found = _named(session, given)
    if len(found) == 1:
        return str(found[0]["objectId"]), str(found[0]["name"])
    if found:
        raise person_not_unique(given, [(str(one["name"]), str(one["objectId"]), str(one["issuer"])) for one in found])
    raise ArmError(
        "PersonNotFound",
        f"Nobody of the name or mail address '{given}' has signed in here. Write the whole name or mail address, or the object id in the "
        "directory.",
        status=404,
        target=given,
    )


def _named(session: Session, given: str) -> list[Mapping[str, Any]]:
    wanted = given.lower()
    people = (one["properties"] for one in session.client.list(DIRECTORY))
    return [one for one in people if wanted in (one["mail"].lower(), one["name"].lower())]
