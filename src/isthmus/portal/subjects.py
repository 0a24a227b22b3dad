"""What an id is about, in a word, and the page that shows it: pages link by it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.portal.words import connector_path, resource_path

_KINDS = MappingProxyType(
    {
        "publicCloudConnectors": "connector",
        "solutionConfigurations": "solution",
        "resourceGroups": "resource group",
        "subscriptions": "subscription",
        "machines": "machine",
        "drafts": "draft",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an id names: its name, what that is in a word, its id, and the page that shows it (empty: there is none)."""

    name: str
    kind: str
    id: str
    to: str


def subject_of(id: str) -> Subject:
    """What an id names and where it is shown: solutions and what else lies in a connector on the connector's page."""
    if id == "/":
        return Subject(name="The whole tenant", kind="tenant", id=id, to="")
    try:
        found = parse_resource(id)
    except ArmError:
        return Subject(name=id, kind="", id=id, to="")
    kind = _KINDS.get(found.types[-1], found.types[-1])
    connector = next((one for one in found.chain if one.type.lower().endswith("/publiccloudconnectors")), None)
    if connector is not None:
        inside = "" if connector.key == found.key else f"{found.name} of "
        return Subject(name=f"{inside}{connector.name}", kind=kind, id=id, to=connector_path(str(connector)))
    if found.type.lower() in ("microsoft.resources/resourcegroups", "microsoft.resources/subscriptions"):
        return Subject(name=found.name, kind=kind, id=id, to="")
    if found.type.lower() == "isthmus.connect/drafts":
        return Subject(name=found.name, kind=kind, id=id, to=f"/portal/connectors/add/{found.name}/template")
    return Subject(name=found.name, kind=kind, id=id, to=resource_path(id))
