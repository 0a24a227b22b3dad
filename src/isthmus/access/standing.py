"""Whether a person may still speak by a token that they have: asked for every request, so in one question."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from isthmus.access.revocations import IS_REVOKED, is_revoked
from isthmus.identity.evidence import LIVES

_STANDING = select(LIVES.label("lives"), IS_REVOKED.label("is_revoked"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Whether the sign-in of a token lives, and whether its person was taken everything. Who came by no sign-in has none that ends."""

    lives: bool
    is_revoked: bool


def standing_of(connection: Connection, person: str, sign_in: str, now: int) -> Standing:
    """Where a person (object id) stands who speaks by a sign-in (empty: a link), at an instant (ms)."""
    if not sign_in:
        return Standing(lives=True, is_revoked=is_revoked(connection, person))
    wanted = {"sign_in_id": sign_in, "sign_in_person": person.lower(), "sign_in_now": now, "revoked_person": person.lower()}
    row = connection.execute(_STANDING, wanted).one()
    return Standing(lives=bool(row.lives), is_revoked=bool(row.is_revoked))
