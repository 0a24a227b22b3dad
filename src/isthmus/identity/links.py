"""Single-use links for the owner of the data folder: 256 random bits, valid for 10 minutes, stored as a hash, consumed atomically.

Whoever uses one becomes administrator, whoever they are: so who made it is kept with it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, delete, select, update

from isthmus.arm.errors import ArmError
from isthmus.store.tables import sign_in_links

LIFETIME = 600


def make(connection: Connection, clock: Callable[[], float], *, by: str, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """The code of a new link (64 hexadecimal digits), made `by` an object id. It is shown to its owner once and must never be logged."""
    now = int(clock() * 1000)
    connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at <= now))
    code = random_bytes(32).hex()
    connection.execute(sign_in_links.insert().values(hash=_digest(code), made_by=by, expires_at=now + LIFETIME * 1000, used_at=None))
    return code


def require_unused(connection: Connection, code: str, clock: Callable[[], float]) -> None:
    """ArmError 401 `InvalidSignInLink` when `consume` would refuse the link now; for readers."""
    if connection.execute(select(sign_in_links.c.hash).where(_unused(code, int(clock() * 1000)))).first() is None:
        raise _refusal()


def consume(connection: Connection, code: str, clock: Callable[[], float]) -> str:
    """Use a link; who made it (object id). ArmError 401 `InvalidSignInLink` when it is unknown, used or expired; of two concurrent uses
    one succeeds."""
    now = int(clock() * 1000)
    if connection.execute(update(sign_in_links).where(_unused(code, now)).values(used_at=now)).rowcount != 1:
        raise _refusal()
    return str(connection.execute(select(sign_in_links.c.made_by).where(sign_in_links.c.hash == _digest(code))).scalar_one())


def _unused(code: str, now: int) -> ColumnElement[bool]:
    """Links without a maker are of a version that let every owner make them."""
    is_open = sign_in_links.c.used_at.is_(None) & (sign_in_links.c.expires_at > now)
    return (sign_in_links.c.hash == _digest(code)) & is_open & (sign_in_links.c.made_by != "")


def _refusal() -> ArmError:
    return ArmError(
        "InvalidSignInLink",
        "This sign-in link was used before, has expired, or is not one of ours. On the computer of the control plane, "
        "run 'isthmus login --link' for a new one.",
        status=401,
    )


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()
