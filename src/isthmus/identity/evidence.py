"""What a provider vouched for at a sign-in: who, by which token and session of its own, how proven, in which groups.

Access to clouds stands on it, and audit joins by it. Groups of a token that are not all of them (overage) count as not told, never as none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select, update

from isthmus.identity.people import Person, vouched_mail
from isthmus.store.tables import sign_ins

_LISTS = {"amr": "methods", "acrs": "contexts"}
# What every token has, or what is kept elsewhere.
_FRAME = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "at_hash", "azp", "name", "email", "preferred_username", "groups"})
_MOST_ENTRIES, _LONGEST = 1_000, 256


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """A sign-in. `groups` is None when the token did not tell them all; times in milliseconds since 1970.

    `token_id` is `uti` (Entra) or `jti`, `session_id` is `sid`; `methods` are `amr`, `contexts` are `acrs`. `mail` is empty unless
    the provider vouches for it. `claims` are the other claims that hold a text or a list of texts.
    """

    id: str
    object_id: str
    issuer: str
    subject: str
    name: str
    token_id: str = ""
    session_id: str = ""
    methods: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    mail: str = ""
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: int
    ends_at: int


def evidence_of(person: Person, claims: Mapping[str, Any], *, id: str, now: int, seconds: float) -> SignedIn:
    """The evidence in verified claims of an ID token, good for `seconds` from `now` (ms)."""
    lists = {name: texts_of(claims.get(claim)) for claim, name in _LISTS.items()}
    others = {
        name: texts
        for name, value in claims.items()
        if name not in _FRAME and name not in _LISTS and not name.startswith("_") and (texts := texts_of(value))
    }
    return SignedIn(
        id=id,
        object_id=person.object_id,
        issuer=person.issuer,
        subject=person.subject,
        name=person.name,
        token_id=_first(claims, "uti", "jti"),
        session_id=_first(claims, "sid"),
        methods=lists["methods"],
        contexts=lists["contexts"],
        groups=_groups(claims),
        mail=vouched_mail(person, claims),
        claims=others,
        at=now,
        ends_at=now + int(seconds * 1000),
    )


def texts_of(value: object) -> tuple[str, ...]:
    """A text or a list of texts as a tuple; anything else, and what is too long to be meant so, is empty."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > _MOST_ENTRIES:
        return ()
    return tuple(listed) if all(isinstance(one, str) and 0 < len(one) <= _LONGEST for one in listed) else ()


def has_overage(claims: Mapping[str, Any]) -> bool:
    """Whether a token says that its groups are to be asked elsewhere (Entra: `_claim_names`, `hasgroups`)."""
    names = claims.get("_claim_names")
    return (isinstance(names, dict) and "groups" in names) or "hasgroups" in claims


def record(connection: Connection, found: SignedIn) -> None:
    """Keep a sign-in."""
    texts = {"methods": found.methods, "contexts": found.contexts, "claims": found.claims}
    row = {
        name: getattr(found, name)
        for name in ("id", "object_id", "issuer", "subject", "name", "token_id", "session_id", "mail", "at", "ends_at")
    }
    groups = None if found.groups is None else json.dumps(found.groups)
    connection.execute(sign_ins.insert().values(**row, groups=groups, **{name: json.dumps(value) for name, value in texts.items()}))


LIVES = exists().where(
    sign_ins.c.id == bindparam("sign_in_id"),
    sign_ins.c.object_id == bindparam("sign_in_person"),
    sign_ins.c.ended_at.is_(None),
    sign_ins.c.ends_at > bindparam("sign_in_now"),
)
"""Whether the sign-in `sign_in_id` of the person `sign_in_person` (object id) was not ended and is not over at `sign_in_now` (ms)."""
_LIVES = select(LIVES)


def find(connection: Connection, id: str) -> SignedIn | None:
    """A sign-in that was not ended; whether its time is over is for the reader to say."""
    if not id:
        return None
    row = connection.execute(select(sign_ins).where(sign_ins.c.id == id, sign_ins.c.ended_at.is_(None))).first()
    return None if row is None else _signed_in(row)


def lives(connection: Connection, id: str, object_id: str, now: int) -> bool:
    """Whether a sign-in of this person was not ended and is not over."""
    asked = {"sign_in_id": id, "sign_in_person": object_id.lower(), "sign_in_now": now}
    return bool(connection.execute(_LIVES, asked).scalar())


def latest(connection: Connection, object_id: str, now: int) -> SignedIn | None:
    """The latest sign-in of a person that stands."""
    living = (sign_ins.c.object_id == object_id.lower(), sign_ins.c.ended_at.is_(None), sign_ins.c.ends_at > now)
    row = connection.execute(select(sign_ins).where(*living).order_by(sign_ins.c.at.desc(), sign_ins.c.id).limit(1)).first()
    return None if row is None else _signed_in(row)


def end_all(connection: Connection, object_id: str, now: int) -> int:
    """End every sign-in of a person; how many lived."""
    living = (sign_ins.c.object_id == object_id.lower()) & sign_ins.c.ended_at.is_(None) & (sign_ins.c.ends_at > now)
    return connection.execute(update(sign_ins).where(living).values(ended_at=now)).rowcount


def new_sign_in(
    connection: Connection,
    person: Person,
    claims: Mapping[str, Any],
    *,
    clock: Callable[[], float],
    identifier: Callable[[], str],
    seconds: float,
) -> SignedIn:
    """Record what was just vouched for."""
    found = evidence_of(person, claims, id=identifier(), now=int(clock() * 1000), seconds=seconds)
    record(connection, found)
    return found


def _groups(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "groups" not in claims or has_overage(claims):
        return None
    # An empty list tells that there are none; anything else that names none tells nothing.
    found = texts_of(claims["groups"])
    return found if found or claims["groups"] == [] else None


def _first(claims: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = claims.get(name)
        if isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable():
            return value
    return ""


def _signed_in(row: Row[Any]) -> SignedIn:
    names = ("id", "object_id", "issuer", "subject", "name", "token_id", "session_id", "mail", "at", "ends_at")
    return SignedIn(
        **{name: getattr(row, name) for name in names},
        methods=tuple(json.loads(row.methods)),
        contexts=tuple(json.loads(row.contexts)),
        groups=None if row.groups is None else tuple(json.loads(row.groups)),
        claims={name: tuple(values) for name, values in json.loads(row.claims).items()},
    )
