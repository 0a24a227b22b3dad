"""The connector behind the tabs: what it is, its solutions, what the visitor may do with it, and the frame around every tab."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Problem, Problems
from isthmus.portal.page import Visit, local
from isthmus.portal.principals import may_change
from isthmus.portal.words import connector_path

INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"
TITLES: Mapping[str, str] = MappingProxyType({INVENTORY: "Inventory", ONBOARDING: "Arc onboarding", "Isthmus.Access": "Access"})
"""What people call solution types."""
SOLUTIONS = "providers/Microsoft.HybridConnectivity/solutionConfigurations"
TABS: Mapping[str, str] = MappingProxyType(
    {
        "overview": "Overview",
        "scan": "Scan",
        "solutions": "Solutions",
        "permissions": "Permissions",
        "template": "Template",
        "machines": "Machines",
        "resources": "Resources",
        "tags": "Tags",
    }
)
DONE: Mapping[str, str] = MappingProxyType(
    {
        "created": "The connector was created. Its solutions begin as soon as the account trusts it.",
        "saved": "The settings were saved. They hold from the next sync on, which was ordered.",
        "added": "The solution was added. It begins by itself as soon as the account trusts its role.",
        "removed": "The solution was removed.",
        "tags": "The tags were saved.",
        "sync": "A look for EC2 instances was ordered.",
    }
)
"""What a page says after a form was taken, by the word in its address."""
DELETING, FAILED = "Deleting", "Failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """A solution of the connector. `status` is ARM's word, `last_sync` an instant or empty."""

    id: str
    name: str
    kind: str
    status: str
    details: str
    last_sync: str
    settings: Mapping[str, str]

    @property
    def title(self) -> str:
        """What people call it."""
        return title_of(self.kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Connector:
    """A connector with its solutions. `state` is its provisioning state, `guid` stands in the names of its roles."""

    id: str
    name: str
    subscription: str
    group: str
    location: str
    account: str
    is_organization: bool
    state: str
    guid: str
    created_at: str
    tags: Mapping[str, str]
    etag: str
    solutions: tuple[Solution, ...]

    @property
    def root(self) -> str:
        """The id of its own subscription, which need not be the one that is looked at."""
        return f"/subscriptions/{self.subscription}"

    def solution(self, kind: str) -> Solution | None:
        """Its solution of a type; there is one at most."""
        return next((one for one in self.solutions if one.kind.lower() == kind.lower()), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The frame of a tab. `part` is the template of the tab, `may_change` whether buttons would work, `toast` what was done just now."""

    id: str
    name: str
    lead: str
    part: str
    tab: str
    tabs: tuple[tuple[str, str, str], ...]
    home: str
    state: str
    may_change: bool
    toast: str
    problems: Problems


def title_of(kind: str) -> str:
    """What people call a solution type."""
    return next((title for id, title in TITLES.items() if id.lower() == kind.lower()), kind)


def read_connector(visit: Visit) -> Connector:
    """The connector that the address names, with its solutions: two calls. ArmError 404 when there is none."""
    id = visit.id()
    if id.type.lower() != "microsoft.hybridconnectivity/publiccloudconnectors":
        raise ArmError("PageNotFound", "This address names no connector. It may have been cut.", status=404)
    answer = visit.client.fetch(str(id))
    body, found = answer.body, visit.client.list(f"{id}/{SOLUTIONS}")
    properties = body["properties"]
    return Connector(
        id=body["id"],
        name=body["name"],
        subscription=id.subscription,
        group=id.group,
        location=body["location"],
        account=properties["awsCloudProfile"]["accountId"],
        is_organization=properties["awsCloudProfile"].get("isOrganizationalAccount") is True,
        state=properties.get("provisioningState", ""),
        guid=properties["connectorPrimaryIdentifier"],
        created_at=body.get("systemData", {}).get("createdAt", ""),
        tags=body.get("tags") or {},
        etag=answer.etag,
        solutions=tuple(sorted((_solution(one) for one in found), key=lambda one: (one.kind.lower(), one.name))),
    )


def _solution(body: Mapping[str, Any]) -> Solution:
    properties = body["properties"]
    return Solution(
        id=body["id"],
        name=body["name"],
        kind=properties["solutionType"],
        status=properties.get("status") or "",
        details=properties.get("statusDetails") or "",
        last_sync=properties.get("lastSyncTime") or "",
        settings=properties["solutionSettings"],
    )


def head_of(
    visit: Visit, connector: Connector, tab: str, *, part: str = "", may: bool | None = None, problems: Problems | None = None
) -> Head:
    """The frame of a tab. `part` names another template than the tab's own; `may` is known already where it is given."""
    home = connector_path(connector.id)
    return Head(
        id=connector.id,
        name=connector.name,
        lead=f"AWS account {connector.account}, {'organization' if connector.is_organization else 'single account'}",
        part=part or tab,
        tab=tab,
        tabs=tuple((key, text, tab_path(connector.id, key)) for key, text in TABS.items()),
        home=home,
        state=connector.state,
        may_change=may_change(visit, connector.id) if may is None else may,
        toast=DONE.get(visit.query.get("done", ""), ""),
        problems=problems or Problems(),
    )


def tab_path(connector: str, tab: str, **query: str) -> str:
    """The address of a tab."""
    return local(connector_path(connector), tab="" if tab == "overview" else tab, **query)


def seal_of(value: object) -> str:
    """A word that changes when the value does: forms carry it, so that nobody overwrites what they have not seen."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def refusal(error: ArmError) -> Problems:
    """The API's refusal as a form shows it. Raises what is no answer to a form."""
    if error.status == 401 or error.status >= 500:
        raise error
    return Problems(found=tuple(Problem(field="", message=one.message) for one in (error.details or (error,))))


def unless_forbidden(error: ArmError) -> None:
    """Raise everything but 403: what the visitor may not see is left out, and said so."""
    if error.status != 403:
        raise error
