"""Client secrets: made by us, shown once, stored as scrypt hashes (RFC 7914), compared in constant time.

Our secrets carry 256 random bits, so the hash only has to be slow enough to make a stolen database worthless: N=2^14, r=8 costs 16 MiB and
about 40 ms. Verification never happens inside a write transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select

from isthmus.arm.errors import ArmError, conflict, invalid
from isthmus.identity.clients import get_client, random_id
from isthmus.store.tables import client_secrets

PREFIX = "isthmus_"
MAX_SECRETS = 10
MAX_LIFETIME = 2 * 365 * 86_400
_HINT = slice(len(PREFIX), len(PREFIX) + 4)
_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_NOBODY = b"\0" * 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """What is stored of a secret; `hint` are its first four characters after the prefix. Times in milliseconds."""

    id: str
    client_id: str
    hint: str
    created_at: int
    expires_at: int
    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSecret:
    """A secret at the only time it can be seen."""

    id: str
    hint: str
    expires_at: int
    text: str = field(repr=False)


def add_secret(
    connection: Connection,
    client_id: str,
    *,
    lifetime: int,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    identifier: Callable[[], str] = random_id,
) -> NewSecret:
    """Give a client a further secret for `lifetime` seconds (at most two years, 10 secrets at a time)."""
    if not 0 < lifetime <= MAX_LIFETIME:
        raise invalid(f"A secret lives 1 to {MAX_LIFETIME} seconds.", target="lifetime")
    get_client(connection, client_id)
    if len(list_secrets(connection, client_id)) >= MAX_SECRETS:
        raise conflict(
            f"Client '{client_id}' has {MAX_SECRETS} secrets already; remove one first.", target=client_id, code="TooManySecrets"
        )
    now = int(clock() * 1000)
    text, salt = PREFIX + random_bytes(32).hex(), random_bytes(16)
    made = NewSecret(id=identifier(), hint=text[_HINT], expires_at=now + lifetime * 1000, text=text)
    row = {"id": made.id, "client_id": client_id, "salt": salt, "hash": _hash(text, salt), "hint": made.hint}
    connection.execute(client_secrets.insert().values(**row, created_at=now, expires_at=made.expires_at))
    return made


def list_secrets(connection: Connection, client_id: str) -> list[Secret]:
    """The secrets of a client, oldest first, expired ones included."""
    order = (client_secrets.c.created_at, client_secrets.c.id)
    rows = connection.execute(select(client_secrets).where(client_secrets.c.client_id == client_id).order_by(*order)).mappings()
    return [Secret(**row) for row in rows]


def remove_secret(connection: Connection, client_id: str, secret_id: str) -> None:
    """Remove one secret; ArmError 404 `SecretNotFound`."""
    chosen = (client_secrets.c.client_id == client_id) & (client_secrets.c.id == secret_id)
    if connection.execute(delete(client_secrets).where(chosen)).rowcount != 1:
        raise ArmError("SecretNotFound", f"Client '{client_id}' has no secret '{secret_id}'.", status=404, target=secret_id)


def match_secret(present: Sequence[Secret], text: str) -> Secret | None:
    """The secret that was given, expired or not. An unknown client costs the same time as a wrong secret: one hash is made in any case."""
    hinted = [secret for secret in present if hmac.compare_digest(secret.hint.encode(), text[_HINT].encode(errors="replace"))]
    if not hinted:
        _hash(text, _NOBODY)
        return None
    matches = [secret for secret in hinted if hmac.compare_digest(secret.hash, _hash(text, secret.salt))]
    return max(matches, key=lambda secret: secret.expires_at, default=None)


def _hash(text: str, salt: bytes) -> bytes:
    return hashlib.scrypt(text.encode(errors="surrogatepass"), salt=salt, **_COST)
