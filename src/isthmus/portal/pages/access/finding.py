"""People as visitors name them: by object id, mail address or name."""

from __future__ import annotations

from uuid import UUID

from isthmus.arm.errors import ArmError, conflict
from isthmus.portal.page import Visit
from isthmus.portal.principals import PEOPLE

_MOST = {"$top": "1000"}


def find_person(visit: Visit, given: str) -> str:
    """The object id of whom is meant. ArmError 404 `PersonNotFound`, 409 `PersonNotUnique`."""
    wanted = given.strip().lower()
    try:
        return str(UUID(wanted))
    except ValueError:
        pass
    people = (one["properties"] for one in visit.client.list(PEOPLE, query=_MOST))
    found = [one["objectId"] for one in people if wanted in (one["mail"].lower(), one["name"].lower())]
    if len(found) == 1:
        return str(found[0])
    if found:
        message = f"{len(found)} people are called '{given[:64]}'. Name one by mail address or object id."
        raise conflict(message, code="PersonNotUnique", target="person")
    message = f"Nobody called '{given[:64]}' has signed in here. Name people by mail address, name or object id."
    raise ArmError("PersonNotFound", message, status=404, target="person")
