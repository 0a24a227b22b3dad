"""A security event token (RFC 8417), read: what happened, to whom, and what follows. Pure.

Sources: OpenID CAEP 1.0 section 3, OpenID RISC Profile 1.0 section 2, Shared Signals Framework 1.0, RFC 9493 (subject identifiers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

_SCHEMAS: Final = "https://schemas.openid.net/secevent"
_LONGEST = 512


class Effect(StrEnum):
    """What an event asks for."""

    END = "EndSessions"
    DEPART = "Depart"
    VERIFY = "Verify"
    NONE = "None"


_EFFECTS: Final[Mapping[str, Effect]] = {
    f"{_SCHEMAS}/caep/event-type/session-revoked": Effect.END,
    f"{_SCHEMAS}/caep/event-type/credential-change": Effect.END,
    f"{_SCHEMAS}/caep/event-type/assurance-level-change": Effect.END,
    f"{_SCHEMAS}/risc/event-type/sessions-revoked": Effect.END,
    f"{_SCHEMAS}/risc/event-type/account-credential-change-required": Effect.END,
    f"{_SCHEMAS}/risc/event-type/credential-compromise": Effect.END,
    f"{_SCHEMAS}/risc/event-type/account-disabled": Effect.DEPART,
    f"{_SCHEMAS}/risc/event-type/account-purged": Effect.DEPART,
    f"{_SCHEMAS}/ssf/event-type/verification": Effect.VERIFY,
}


class Unusable(Exception):
    """The token is no event that can be acted upon; the text says why and may be shown to its sender."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Whom an event is about: an issuer's subject, or (with an empty issuer) an object id."""

    issuer: str = ""
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SecurityEvent:
    """One event. `kind` is the last part of its type's URI; `subject` is None for those that are about nobody."""

    type: str
    effect: Effect
    subject: Subject | None

    @property
    def kind(self) -> str:
        """For records."""
        return self.type.rpartition("/")[2][:64]


def read_event(claims: Mapping[str, Any]) -> SecurityEvent:
    """The event of verified claims. Raises Unusable unless there is exactly one, about somebody who can be told from others.

    What is unknown here has no effect, whoever it is about.
    """
    events = claims.get("events")
    if not isinstance(events, dict) or len(events) != 1:
        raise Unusable("it does not hold exactly one event")
    type, payload = next(iter(events.items()))
    if not isinstance(payload, dict) or not 0 < len(type) <= _LONGEST or not type.isprintable():
        raise Unusable("its event is no object with a type")
    effect = _EFFECTS.get(type, Effect.NONE)
    if type.endswith("/assurance-level-change") and payload.get("change_direction") == "increase":
        effect = Effect.NONE
    subject = _subject(claims.get("sub_id", payload.get("subject"))) if effect in (Effect.END, Effect.DEPART) else None
    return SecurityEvent(type=type, effect=effect, subject=subject)


def _subject(given: object) -> Subject:
    if not isinstance(given, dict):
        raise Unusable("it does not say whom it is about (sub_id)")
    # Drafts before RFC 9493 said `subject_type`; complex subjects name the user among other things.
    format = given.get("format", given.get("subject_type"))
    if format == "complex" or (format is None and isinstance(given.get("user"), dict)):
        return _subject(given.get("user"))
    if format == "iss_sub":
        return Subject(issuer=_text(given, "iss"), id=_text(given, "sub"))
    if format == "opaque":
        return Subject(id=_text(given, "id"))
    if format in ("email", "account", "phone_number", "aliases"):
        raise Unusable(f"people are not recognised by '{format}', which others may have later; send iss_sub, or the object id as opaque")
    raise Unusable("the format of its subject is not supported; send iss_sub, or the object id as opaque")


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST or not found.isprintable():
        raise Unusable(f"its subject lacks '{name}'")
    return found
