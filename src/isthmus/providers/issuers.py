"""Isthmus.Identity/issuers: the issuer that AWS trusts, its keys, and their rotation, rehearsed. For owners of the tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.providers.bodies import Body, read
from isthmus.providers.history import VERSIONS
from isthmus.solutions.rotation import Rotation, Trial, plan

ISSUERS = "Isthmus.Identity/issuers"
AWS = "aws"


class Turning(Body):
    """Body of `rotate`: the kid of the next key as it was seen, and whether to do without the day for which it is published."""

    expected: Annotated[str, Field(min_length=1, max_length=100)]
    shorten: bool = False


def row(rotation: Rotation) -> ResourceType:
    """The row of the issuer for AWS; there is one, called `aws`."""

    def shown() -> Mapping[str, Any]:
        return {"id": f"/providers/{ISSUERS}/{AWS}", "name": AWS, "type": ISSUERS, "properties": plan(rotation)}

    def listed(_ask: Ask) -> Iterable[Mapping[str, Any]]:
        return (shown(),)

    def one(ask: Ask) -> Mapping[str, Any] | None:
        return shown() if ask.id.name.lower() == AWS else None

    def examine(_resource: Resource | None, ask: Ask) -> Answer:
        _require(ask)
        seen, trials = rotation.examine()
        turn = rotation.issuer.ring.turn()
        published = {
            "kids": [str(key.get("kid", ""))[:100] for key in seen.keys[:100]],
            "problem": seen.problem or None,
            "showsCurrent": seen.shows(turn.current),
            "showsNext": seen.shows(turn.following),
            "lookedAt": rotation.publication.address or rotation.publication.url,
        }
        return Answer(body={**plan(rotation), "published": published, "accounts": [_trial(one) for one in trials]})

    def rotate(_resource: Resource | None, ask: Ask) -> Answer:
        _require(ask)
        asked = read(Turning, ask.body or {})
        steps = rotation.rotate(ask.actor, expected=asked.expected, shortens=asked.shorten)
        told = [{"name": one.name, "ok": one.is_well, "told": one.told, "accounts": [_trial(each) for each in one.trials]} for one in steps]
        return Answer(body={**plan(rotation), "ok": all(one.is_well for one in steps), "steps": told})

    actions = (
        Action(name="examine", act=examine, needs_resource=False, reads=True),
        Action(name="rotate", act=rotate, needs_resource=False),
    )
    return ResourceType(name=ISSUERS, scopes=frozenset({Scope.TENANT}), versions=VERSIONS, enumerate=listed, read=one, actions=actions)


def _require(ask: Ask) -> None:
    if not ask.permits("Microsoft.Authorization/roleAssignments/write", "/"):
        raise ArmError("AuthorizationFailed", "Only an owner of the tenant ('/') looks after the issuer's keys.", status=403)
    if ask.id.name.lower() != AWS:
        message = f"There is no issuer '{ask.id.name[:64]}' whose keys can be rotated: the one that AWS trusts is '{AWS}'."
        raise ArmError("IssuerNotFound", message, status=404, target=str(ask.id))


def _trial(one: Trial) -> dict[str, Any]:
    return {"connector": one.connector, "accountId": one.account, "taken": one.taken, "details": one.told or None}
