"""People: whom an OpenID provider has vouched for, under which object id they are known here, and when they came.

Names and mail addresses are for display. Nobody is recognised by them: providers let people change both, and give them to others later.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from isthmus.arm.errors import ArmError
from isthmus.store.dialect import insert_new
from isthmus.store.tables import people

MAX_NAME, MAX_MAIL = 256, 320
# Entra's public cloud and its sovereign ones; a tenant is named by its GUID in the issuer of its version 2 endpoint.
_ENTRA = re.compile(
    r"https://(?:login\.microsoftonline\.com|login\.microsoftonline\.us|login\.partner\.microsoftonline\.cn)/([0-9a-f-]{36})/v2\.0"
)
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who may sign in. `object_id` is what role assignments name; issuer and subject are empty for sign-in links."""

    object_id: str
    name: str
    mail: str = ""
    issuer: str = ""
    subject: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """A person who has signed in before; times in milliseconds since 1970."""

    person: Person
    first_at: int
    last_at: int


def entra_tenant(issuer: str) -> str:
    """The tenant of an issuer that is Entra's, else nothing."""
    match = _ENTRA.fullmatch(issuer)
    return match[1] if match else ""


def person_of(claims: Mapping[str, Any]) -> Person:
    """Whom verified claims of an ID token are about; ArmError 401 `SignInRefused` when Entra's own claims are not what they should be.

    Entra: the object id of its directory. Its `sub` differs from application to application. Everybody else: a UUID made of issuer and
    subject (RFC 9562 5.5), the same at every sign-in and in every installation.
    """
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    tenant = entra_tenant(issuer)
    if tenant:
        object_id = claims.get("oid")
        if claims.get("tid") != tenant or not isinstance(object_id, str) or not _GUID.fullmatch(object_id):
            message = (
                "The directory's answer names no object id of its tenant. Ask its administrator whether the application is a normal one."
            )
            raise ArmError("SignInRefused", message, status=401)
        object_id = object_id.lower()
    else:
        object_id = str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, issuer), subject))
    shown = [_shown(claims.get(name), MAX_NAME) for name in ("name", "preferred_username", "email")]
    mail = _shown(claims.get("email"), MAX_MAIL) or _shown(claims.get("preferred_username"), MAX_MAIL)
    return Person(
        object_id=object_id,
        name=next(filter(None, shown), "") or subject,
        mail=mail if "@" in mail else "",
        issuer=issuer,
        subject=subject,
    )


def vouched_mail(person: Person, claims: Mapping[str, Any]) -> str:
    """A person's mail address as far as their provider vouches for it: not where it says that it did not verify it, and not where it
    is but a name that people choose (`preferred_username`, OpenID Connect Core 5.7; Entra's is of a domain that the tenant has proven)."""
    said = claims.get("email_verified", True)
    is_verified = said is True or said == "true"
    is_chosen = person.mail != _shown(claims.get("email"), MAX_MAIL) and person.mail == _shown(claims.get("preferred_username"), MAX_MAIL)
    return person.mail if is_verified and (not is_chosen or entra_tenant(person.issuer)) else ""


def has_name(claims: Mapping[str, Any]) -> bool:
    """Whether claims say what to call a person."""
    return any(_shown(claims.get(name), MAX_NAME) for name in ("name", "preferred_username", "email"))


def remember(connection: Connection, person: Person, clock: Callable[[], float]) -> None:
    """Note a sign-in. ArmError 401 `SignInRefused` when the object id or the subject is another person's already."""
    now = int(clock() * 1000)
    row = {"object_id": person.object_id, "issuer": person.issuer, "subject": person.subject, "name": person.name, "mail": person.mail}
    if insert_new(connection, people, {**row, "first_at": now, "last_at": now}):
        return
    changed = {"subject": person.subject, "name": person.name, "mail": person.mail, "last_at": now}
    known = (people.c.object_id == person.object_id) & (people.c.issuer == person.issuer)
    taken = select(people.c.object_id).where(
        people.c.issuer == person.issuer, people.c.subject == person.subject, people.c.object_id != person.object_id
    )
    if connection.execute(taken).first() or connection.execute(update(people).where(known).values(**changed)).rowcount != 1:
        message = "The provider names you by an identifier that belongs to somebody else here. Ask an owner of this installation."
        raise ArmError("SignInRefused", message, status=401)


def list_people(connection: Connection) -> list[Visitor]:
    """Everybody who has signed in through a provider, by object id."""
    return [_visitor(row) for row in connection.execute(select(people).order_by(people.c.object_id))]


def find_person(connection: Connection, object_id: str) -> Visitor | None:
    """One of them."""
    row = connection.execute(select(people).where(people.c.object_id == object_id.lower())).first()
    return None if row is None else _visitor(row)


def _visitor(row: Row[Any]) -> Visitor:
    person = Person(object_id=row.object_id, name=row.name, mail=row.mail, issuer=row.issuer, subject=row.subject)
    return Visitor(person=person, first_at=row.first_at, last_at=row.last_at)


def _shown(value: object, longest: int) -> str:
    """A text as it may stand on a page or in a line of a terminal: one line, nothing that cannot be seen, not too long."""
    if not isinstance(value, str):
        return ""
    # Marks that turn the direction of writing could make one name look like another.
    return "".join(character for character in value if character.isprintable()).strip()[:longest]
