"""`remove` of a connector: with a choice of what stays. Until it has ended, nothing is written to the connector any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from isthmus.arm.change import Change, JobOrder, OperationOrder
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, conflict
from isthmus.arm.types import Action, Answer, Ask, Decide
from isthmus.providers.bodies import Body, read
from isthmus.solutions import places
from isthmus.solutions.removal import DELETING, REMOVE, Leaving
from isthmus.solutions.subject import CONNECTORS


class Removal(Body):
    """The body of `remove`. Both are to be said: nothing is deleted, and nothing kept, by default."""

    resources: Literal["keep", "delete"]
    machines: Literal["keep", "delete"]


def remove_connector(resource: Resource | None, ask: Ask) -> Answer:
    """Mark the connector and open the operation that removes it with what was chosen; the caller must be allowed to delete all that."""
    assert resource is not None
    chosen = read(Removal, ask.body if isinstance(ask.body, dict) else {})
    _refuse_leaving(resource)
    leaving = Leaving(
        connector=resource.id,
        account=resource.properties["awsCloudProfile"]["accountId"],
        guid=resource.properties["connectorPrimaryIdentifier"],
        operation=ask.new_guid(),
        resources=chosen.resources == "delete",
        machines=chosen.machines == "delete",
    )
    group = str(leaving.group)
    _require(ask, f"{CONNECTORS}/delete", str(resource.id))
    if leaving.resources:
        _require(ask, f"{places.AWS_CONNECTOR}/*/delete", group)
    if leaving.machines:
        _require(ask, f"{places.MACHINES}/delete", group)
    marked = replace(resource, properties={**resource.properties, "provisioningState": DELETING})
    change = Change(
        puts=(marked,),
        operation=OperationOrder(id=leaving.operation, resource=resource.id, kind="remove", location=resource.location),
        jobs=(JobOrder(job=REMOVE, id=f"{REMOVE}:{leaving.operation}", arguments=leaving.arguments()),),
        detail={"resources": chosen.resources, "machines": chosen.machines},
    )
    return Answer(change=change, style="both")


REMOVAL = Action(name="remove", act=remove_connector)
"""The action, for the row of connectors."""


def unless_leaving(decide: Decide) -> Decide:
    """The decision, refused with 409 while the resource or the one it lies in is being removed."""

    def decided(old: Resource | None, ask: Ask) -> Change:
        for resource in (old, ask.parent):
            if resource is not None:
                _refuse_leaving(resource)
        return decide(old, ask)

    return decided


def _refuse_leaving(resource: Resource) -> None:
    if resource.properties.get("provisioningState") == DELETING:
        raise conflict(f"'{resource.id}' is being removed. Wait for its end.", target=str(resource.id), code="ConnectorBeingRemoved")


def _require(ask: Ask, action: str, scope: str) -> None:
    if not ask.permits(action, scope):
        raise ArmError(
            "AuthorizationFailed",
            f"You do not have authorization to perform action '{action}' over scope '{scope}', which this removal would need. "
            "Keep what lies there, or ask an owner of that scope for a role assignment.",
            status=403,
            target=scope,
        )
