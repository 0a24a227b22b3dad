"""What a resource's page shows: who it is at the top, and one of its tabs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import ResourceId
from isthmus.portal.forms import Problems
from isthmus.portal.page import Invalid, Visit, local
from isthmus.portal.pages.inventory.filters import GLOBAL, LIST
from isthmus.portal.pages.resource.changes import History, history_of, history_of_gone
from isthmus.portal.pages.resource.relations import Relations, relations_of
from isthmus.portal.pages.resource.tree import Node, json_text, tree_of
from isthmus.portal.principals import may_change
from isthmus.portal.words import connector_path, resource_path

_AWS = "microsoft.awsconnector"
_CONNECTOR = "microsoft.hybridconnectivity/publiccloudconnectors"
_MACHINE = "microsoft.hybridcompute/machines"
_CLUSTER = "microsoft.kubernetes/connectedclusters"
_GROUP = "microsoft.resources/resourcegroups"
_DONE = {
    "added": "The tag was added.",
    "changed": "The tag was changed.",
    "removed": "The tag was removed.",
}
_MOST_FACTS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One thing that is known, perhaps with a page about it; `is_time` for an instant."""

    name: str
    value: str
    to: str = ""
    is_time: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Crumb:
    """One step of the way to the page; the last one leads nowhere."""

    text: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Who the resource is. `removal` is what it is when it can be deleted here: projection, machine or cluster."""

    id: str
    name: str
    type: str
    status: str
    arn: str
    crumbs: tuple[Crumb, ...]
    tabs: tuple[tuple[str, str, str], ...]
    further: tuple[Crumb, ...]
    removal: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """A tag of ours."""

    name: str
    value: str
    edit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    """The tags of ours, and what is being typed: a new one, or the value of the one that is edited, as it was when editing began."""

    tags: tuple[Tag, ...]
    edited: str = ""
    before: str = ""
    name: str = ""
    value: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """Why there is nothing to show: `gone` with what is known of it, or `forbidden`."""

    kind: str
    id: str
    message: str
    history: History | None
    object_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourcePage:
    """The head and one tab; the others are None. With `missing` there is nothing else. `may_change`: whether buttons would work."""

    path: str
    tab: str = ""
    head: Head | None = None
    facts: tuple[Fact, ...] = ()
    tags: Tags | None = None
    aws_tags: tuple[tuple[str, str], ...] = ()
    properties: tuple[Node, ...] = ()
    raw: str = ""
    relations: Relations | None = None
    history: History | None = None
    missing: Missing | None = None
    may_change: bool = False
    problems: Problems = field(default_factory=Problems)
    done: str = ""


def view(visit: Visit) -> ResourcePage | Invalid:
    """The resource, and what its tab needs: three reads at most."""
    id = visit.id()
    try:
        return show(visit, visit.client.get(str(id)), visit.query.get("tab", ""))
    except ArmError as error:
        if error.status not in (403, 404):
            raise
        return Invalid(context=_missing(visit, id, error), status=error.status)


def show(visit: Visit, body: Mapping[str, Any], tab: str, *, tags: Tags | None = None, problems: Problems | None = None) -> ResourcePage:
    """The page of a resource as the API tells it; `tags` is what is being typed."""
    id = visit.id()
    head = head_of(id, body)
    may = may_change(visit, head.id)
    known = {key for key, _, _ in head.tabs} | ({"delete"} if head.removal and may else set())
    tab = tab if tab in known else "overview"
    properties = body.get("properties") or {}
    path = resource_path(head.id)
    return ResourcePage(
        path=path,
        tab=tab,
        head=head,
        facts=facts_of(id, body) if tab == "overview" else (),
        tags=(tags or tags_of(visit, path, body)) if tab == "overview" and "tags" in body else None,
        aws_tags=tuple((str(name), str(value)) for name, value in (properties.get("awsTags") or {}).items()) if tab == "overview" else (),
        properties=tree_of(properties) if tab == "properties" else (),
        raw=json_text(body) if tab == "properties" else "",
        relations=relations_of(visit, head.id) if tab == "relations" else None,
        history=history_of(visit, head.id) if tab == "history" else None,
        may_change=may,
        problems=problems or Problems(),
        done=_DONE.get(visit.query.get("done", ""), ""),
    )


def head_of(id: ResourceId, body: Mapping[str, Any]) -> Head:
    """Who the resource is."""
    properties, path = body.get("properties") or {}, resource_path(body["id"])
    kind, is_projection = id.type.lower(), id.namespace.lower() == _AWS
    name = str(properties.get("publicCloudResourceName") or properties.get("displayName") or body.get("displayName") or id.name)
    tabs = [("overview", "Overview"), ("properties", "Properties")]
    tabs += [("relations", "Relations")] if is_projection or kind in (_MACHINE, _CLUSTER) else []
    tabs += [("history", "History")]
    return Head(
        id=body["id"],
        name=name,
        type=body.get("type") or id.type,
        status=str(properties.get("status") or "") if kind in (_MACHINE, _CLUSTER) else "",
        arn=str(properties.get("arn") or ""),
        crumbs=_crumbs(id, name),
        tabs=tuple((key, text, local(path, tab="" if key == "overview" else key)) for key, text in tabs),
        further=_further(id, body),
        removal="projection" if is_projection else {_MACHINE: "machine", _CLUSTER: "cluster"}.get(kind, ""),
    )


def _crumbs(id: ResourceId, name: str) -> tuple[Crumb, ...]:
    """Through the group and what it lies in or extends; groups and subscriptions have nothing above them but the list."""
    above = [one for one in list(id.chain)[1:] if one.namespace != "Microsoft.Resources" or one.type.lower() == _GROUP]
    if id.parent is not None and id.parent not in above and id.parent.namespace != "Microsoft.Resources":
        above.insert(0, id.parent)
    return (
        Crumb(text="Inventory", to=LIST),
        *(Crumb(text=one.name, to=resource_path(str(one))) for one in reversed(above)),
        Crumb(text=name, to=""),
    )


def _further(id: ResourceId, body: Mapping[str, Any]) -> tuple[Crumb, ...]:
    """Pages that know more of it."""
    kind = id.type.lower()
    if kind == _CONNECTOR:
        return (Crumb(text="Open the connector", to=connector_path(body["id"])),)
    if kind == _MACHINE:
        return (Crumb(text="Open among the machines", to=local("/portal/machines", name=id.name)),)
    if kind == _GROUP:
        return (Crumb(text="AWS resources in it", to=local(LIST, group=id.name)),)
    return ()


def facts_of(id: ResourceId, body: Mapping[str, Any]) -> tuple[Fact, ...]:
    """What is known of it in short: places and times, and for anything but projections what its properties say in one word each."""
    properties = body.get("properties") or {}
    found = _aws_facts(id, properties) if id.namespace.lower() == _AWS else _plain_facts(properties)
    host = id.parent if id.parent is not None and id.parent.namespace != "Microsoft.Resources" else None
    if host is not None:
        found.append(Fact(name="Belongs to", value=f"{host.types[-1]} {host.name}", to=resource_path(str(host))))
    if id.group and id.type.lower() != _GROUP:
        group = next(str(one) for one in id.chain if one.type.lower() == _GROUP)
        found.append(Fact(name="Resource group", value=id.group, to=resource_path(group)))
    if body.get("location"):
        found.append(Fact(name="Location", value=body["location"]))
    return (*found, *_times(body.get("systemData") or {}))


def _aws_facts(id: ResourceId, properties: Mapping[str, Any]) -> list[Fact]:
    account, region = str(properties.get("awsAccountId") or ""), str(properties.get("awsRegion") or "") or GLOBAL
    kind = id.types[-1]
    found = [
        Fact(name="AWS account", value=account, to=local(LIST, account=account)),
        Fact(name="Region", value=region, to=local(LIST, region=region)),
        Fact(name="Type", value=kind, to=local(LIST, type=kind)),
    ]
    schema = str(properties.get("awsSourceSchema") or "")
    return [*found, Fact(name="CloudFormation type", value=schema)] if schema else found


def _plain_facts(properties: Mapping[str, Any]) -> list[Fact]:
    plain = [(name, value) for name, value in properties.items() if isinstance(value, str | int | float) and value not in ("", None)]
    return [Fact(name=name, value=str(value) if not isinstance(value, bool) else str(value).lower()) for name, value in plain[:_MOST_FACTS]]


def _times(system: Mapping[str, Any]) -> tuple[Fact, ...]:
    names = (("createdAt", "Created"), ("createdBy", "Created by"), ("lastModifiedAt", "Changed"), ("lastModifiedBy", "Changed by"))
    return tuple(Fact(name=text, value=system[name], is_time=name.endswith("At")) for name, text in names if system.get(name))


def tags_of(visit: Visit, path: str, body: Mapping[str, Any], **typed: str) -> Tags:
    """The tags of ours. `edit` in the query names the one whose value is edited; `typed` is what was sent and refused."""
    tags = body["tags"] or {}
    given = typed.get("edited") or visit.query.get("edit", "")
    edited = given if given in tags else ""
    shown = {"before": tags.get(edited, ""), "value": tags.get(edited, ""), **typed, "edited": edited}
    return Tags(tags=tuple(Tag(name=name, value=value, edit=local(path, edit=name)) for name, value in tags.items()), **shown)


def _missing(visit: Visit, id: ResourceId, error: ArmError) -> ResourcePage:
    person = visit.person
    is_gone = error.status == 404
    missing = Missing(
        kind="gone" if is_gone else "forbidden",
        id=str(id),
        message=error.message,
        history=history_of_gone(visit, str(id)) if is_gone else None,
        object_id=person.object_id if person is not None else "",
    )
    return ResourcePage(path=resource_path(str(id)), missing=missing)
