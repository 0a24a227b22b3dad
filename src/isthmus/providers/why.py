"""`why` of a role: the decision about a person, step by step, and what it stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from isthmus.access.broker import Broker
from isthmus.access.explaining import Explanation, explain
from isthmus.access.mappings import RoleMapping
from isthmus.access.shrinking import EVERYTHING
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Action, Answer, Ask
from isthmus.providers.bodies import Body, read

_READ = "Isthmus.Access/roles/read"


class Asking(Body):
    """Body of `why`: whom it is about, the caller where nobody is named."""

    person: str = ""


def why(broker: Broker, named: Callable[[str], RoleMapping]) -> Action:
    """The action. Anybody may ask about themselves; about others, whoever may read the tenant."""

    def act(_resource: Resource | None, ask: Ask) -> Answer:
        person = _object_id(read(Asking, ask.body or {}).person or ask.actor.id)
        if person != ask.actor.id.lower() and not ask.permits(_READ, "/"):
            raise ArmError("AuthorizationFailed", "Only a reader of the tenant ('/') asks about others.", status=403)
        return Answer(body=shown(explain(broker, named(ask.id.name), person)))

    return Action(name="why", act=act, needs_resource=False, reads=True, is_open=True)


def shown(found: Explanation) -> Mapping[str, Any]:
    """An explanation as the API answers it."""
    mapping, decision, sign_in, last = found.mapping, found.decision, found.sign_in, found.last
    refusal = decision.refusal
    return {
        "role": mapping.label,
        "roleArn": mapping.role_arn,
        "mappingId": mapping.id,
        "person": found.person,
        "personName": sign_in.name if sign_in else None,
        "allowed": refusal is None,
        "code": refusal.code if refusal else None,
        "because": decision.because or None,
        "until": instant(decision.until) if decision.until else None,
        "steps": [
            {"name": one.name, "holds": one.holds, "details": one.told, "code": None if one.holds else one.code} for one in decision.steps
        ],
        "policy": [{"property": one.property, "value": one.value, "step": one.step or None} for one in found.lines],
        "signIn": {"id": sign_in.id, "issuer": sign_in.issuer, "at": instant(sign_in.at), "endsAt": instant(sign_in.ends_at)}
        if sign_in
        else None,
        "grants": [
            {"id": one.id, "because": one.because, "beganAt": instant(one.began_at), "endsAt": instant(one.ends_at)} for one in found.grants
        ],
        "suggestedActions": list(found.suggested) if found.suggested != EVERYTHING else None,
        "lastSession": {
            "accessKeyId": last.id,
            "grant": last.grant,
            "use": last.use,
            "issuedAt": instant(last.issued_at),
            "leaseUntil": instant(last.lease_until),
            "revokedAt": instant(last.revoked_at) if last.revoked_at else None,
        }
        if last
        else None,
    }


def _object_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        text = f"A person is named by the object id in the directory (a UUID), not by '{given[:64]}'."
        raise invalid(text, target="person", code="InvalidPerson") from error
