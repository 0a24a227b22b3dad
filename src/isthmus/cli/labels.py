"""Roles of accounts as people name them: account and name, `123456789012.Reader`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from isthmus.arm.errors import ArmError
from isthmus.cli.session import Session

ROLES = "/providers/Isthmus.Access/roles"


@contextmanager
def suggesting(session: Session, role: str) -> Iterator[None]:
    """A refusal of a role that is not there says which of the caller's own was meant, where exactly one ends with that name."""
    try:
        yield
    except ArmError as error:
        if error.code != "RoleNotFound" or (meant := _meant(session, role)) is None:
            raise
        raise ArmError(error.code, f"{error.message} Did you mean {meant}?", status=error.status, target=error.target) from error


def _meant(session: Session, role: str) -> str | None:
    wanted = f".{role.lower()}"
    try:
        found = [str(one["name"]) for one in session.client.list(ROLES)]
    except ArmError:  # The refusal stands by itself; the suggestion does not.
        return None
    ending = [name for name in found if name.lower().endswith(wanted)]
    return ending[0] if len(ending) == 1 else None
