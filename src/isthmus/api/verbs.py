"""What each verb does with a row: read, list, put, patch, delete, act."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from isthmus.api import operations
from isthmus.api.wire import Incoming, Reply, link
from isthmus.arm import paging
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, invalid, invalid_name, not_found
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Window
from isthmus.engine import Condition, Engine, Lookup

_ETAG = re.compile(r'^(?:W/)?"([^"]*)"$')


def render(resource: Resource, row: ResourceType, version: str) -> Mapping[str, Any]:
    """A stored resource as this api-version shows it."""
    if row.show is not None:
        return row.show(resource, version)
    return resource.body(type_name=row.type_name, tracked=row.tracked)


def get(ask: Ask, row: ResourceType, incoming: Incoming, lookup: Lookup) -> Reply:
    """GET and HEAD of one resource; 304 when If-None-Match holds its ETag."""
    if row.read is not None:
        found = row.read(ask)
        if found is None:
            raise not_found(row.name, ask.id.name, ask.id.group)
        return Reply(body=found, headers={"ETag": f'"{found["etag"]}"'} if "etag" in found else {})
    resource = lookup.find(_subject(ask, row))
    if resource is None:
        raise _missing(ask.id, row, lookup)
    if incoming.method == "HEAD":
        return Reply(status=204, headers=_etag(resource))
    if tag_of(incoming, "if-none-match") == resource.etag:
        return Reply(status=304, headers=_etag(resource))
    return Reply(body=render(resource, row, ask.version), headers=_etag(resource))


def list_resources(ask: Ask, row: ResourceType, incoming: Incoming, lookup: Lookup) -> Reply:
    """GET of a collection: one page and the link to the next."""
    if row.window is not None:
        return _windowed(row.window(ask), incoming)
    size = paging.page_size(ask.query)
    after = paging.key_of(ask.query)
    if row.enumerate is not None:
        return _page_of_virtual(ask, row, incoming, size, after)
    clauses = paging.filter_of(ask.query)
    tag = (clauses["tagname"], clauses.get("tagvalue")) if "tagname" in clauses else None
    parent = ask.id.parent
    inside = parent is not None and parent.namespace != "Microsoft.Resources"
    page = lookup.page(
        types=[row.name],
        subscription=ask.id.subscription,
        group=ask.id.group or clauses.get("resourcegroup", ""),
        parent=parent.key if inside and parent is not None else None,
        tag=tag,
        name=clauses.get("name", ""),
        location=clauses.get("location", "").replace(" ", "").lower(),
        after=after,
        limit=size,
    )
    return paged([render(resource, row, ask.version) for resource in page.items], page.after, incoming)


def paged(items: list[Mapping[str, Any]], after: str, incoming: Incoming) -> Reply:
    """ARM's list body; `nextLink` only where there is more."""
    body: dict[str, Any] = {"value": items}
    if after:
        body["nextLink"] = _after(after, incoming)
    return Reply(body=body)


def _after(key: str, incoming: Incoming) -> str:
    query = {name: value for name, value in incoming.query.items() if name != "$skiptoken"}
    return link(incoming.base_url, incoming.path, query | {"$skiptoken": paging.token_of(key)})


def _windowed(window: Window, incoming: Incoming) -> Reply:
    """A window's body: `count` where it is known, `nextLink` where there is more: by key where the window has one, else by `$skip`."""
    body: dict[str, Any] = {"value": list(window.items)}
    if window.count is not None:
        body["count"] = window.count
    if window.after:
        body["nextLink"] = _after(window.after, incoming)
    elif window.more:
        skip = paging.skip_of(incoming.query) + len(window.items)
        query = {name: value for name, value in incoming.query.items() if name != "$skip"}
        body["nextLink"] = link(incoming.base_url, incoming.path, query | {"$skip": str(skip)})
    return Reply(body=body)


def put(ask: Ask, row: ResourceType, incoming: Incoming, engine: Engine) -> Reply:
    """PUT: create or replace."""
    if row.put is None:
        raise _refused("PUT", row, ask.id)
    if not row.name_pattern.match(ask.id.name):
        raise invalid_name(row.name, ask.id.name, row.name_pattern.pattern, row.name_told)
    decide = row.put
    seen: list[Change] = []

    def decision(old: Resource | None) -> Change:
        seen.append(decide(old, ask))
        return seen[-1]

    old, new = engine.write(_subject(ask, row), decision, ask.actor, f"{row.name}/write", _condition(incoming))
    return _written(new, row, ask, incoming, seen[-1], row.created if old is None else row.updated)


def patch(ask: Ask, row: ResourceType, incoming: Incoming, engine: Engine) -> Reply:
    """PATCH: change what exists."""
    if row.patch is None:
        raise _refused("PATCH", row, ask.id)
    decide = row.patch
    seen: list[Change] = []

    def decision(old: Resource | None) -> Change:
        if old is None:
            raise not_found(row.name, ask.id.name, ask.id.group)
        seen.append(decide(old, ask))
        return seen[-1]

    _, new = engine.write(_subject(ask, row), decision, ask.actor, f"{row.name}/write", _condition(incoming))
    return _written(new, row, ask, incoming, seen[-1], 200)


def delete(ask: Ask, row: ResourceType, incoming: Incoming, engine: Engine, lookup: Lookup) -> Reply:
    """DELETE: 204 (or 404) when there was nothing; otherwise what the row says, at once or as an operation."""
    if row.delete is None:
        raise _refused("DELETE", row, ask.id)
    decide = row.delete
    seen: list[Change] = []

    def decision(old: Resource | None) -> Change:
        if old is None and row.must_exist:
            raise _missing(ask.id, row, lookup)
        seen.append(Change() if old is None else decide(old, ask))
        return seen[-1]

    old, _ = engine.write(_subject(ask, row), decision, ask.actor, f"{row.name}/delete", _condition(incoming))
    if old is None:
        return Reply(status=204)
    order = seen[-1].operation
    if order is not None:
        return Reply(status=202, headers=operations.headers(incoming, order, row.namespace, ask.version, both=False))
    return Reply(status=row.removal, body=render(old, row, ask.version) if row.shows_deleted else None)


def act(ask: Ask, action: Action, resource: Resource | None, incoming: Incoming, engine: Engine) -> Reply:
    """POST of an action: an answer at once, or an operation to poll."""
    answer: Answer = action.act(resource, ask)
    change = answer.change
    if change is not None:
        if action.reads:
            raise ValueError(f"the action {action.name} is declared to read and answers a change")
        engine.apply(change, ask.actor, f"{ask.id.type}/{action.name}/action", str(ask.id))
        if change.operation is not None:
            both = answer.style == "both"
            extra = operations.headers(incoming, change.operation, ask.id.namespace, ask.version, both=both)
            return Reply(status=202, headers=extra, null=True)
    return Reply(status=answer.status, body=answer.body)


def _subject(ask: Ask, row: ResourceType) -> ResourceId:
    """The resource that reads and writes go to."""
    return ask.id.parent if row.aspect and ask.id.parent is not None else ask.id


def _written(new: Resource | None, row: ResourceType, ask: Ask, incoming: Incoming, change: Change, status: int) -> Reply:
    if new is None:
        return Reply(status=204)
    extra = _etag(new)
    if change.operation is not None:
        extra |= operations.headers(incoming, change.operation, row.namespace, ask.version, both=True)
    return Reply(status=status, body=render(new, row, ask.version), headers=extra)


def _page_of_virtual(ask: Ask, row: ResourceType, incoming: Incoming, size: int, after: str) -> Reply:
    """Lists that are not stored as resources: in the order of their ids (or names); long ones start after `$after` by themselves."""
    assert row.enumerate is not None
    items: list[Mapping[str, Any]] = []
    last = ""
    for item in row.enumerate(replace(ask, query={**ask.query, "$after": after})):
        key = str(item.get("id") or item.get("name")).lower()
        if key <= after:
            continue
        if len(items) == size:
            return paged(items, last, incoming)
        items.append(item)
        last = key
    return paged(items, "", incoming)


def _condition(incoming: Incoming) -> Condition:
    return Condition(match=tag_of(incoming, "if-match"), none_match=tag_of(incoming, "if-none-match"))


def tag_of(incoming: Incoming, header: str) -> str:
    """An ETag header without its quotes; raises ArmError 400 for something else."""
    given = incoming.headers.get(header, "").strip()
    if not given or given == "*":
        return given
    match = _ETAG.match(given)
    if match is None:
        raise invalid(f"The {header} header must be an ETag in double quotes or *.", target=header, code="InvalidHeaderValue")
    return match.group(1)


def _etag(resource: Resource) -> dict[str, str]:
    return {"ETag": f'"{resource.etag}"'}


def _refused(method: str, row: ResourceType, id: ResourceId) -> ArmError:
    return ArmError("MethodNotAllowed", f"{method} is not offered for '{row.name}'.", status=405, target=str(id))


def _missing(id: ResourceId, row: ResourceType, lookup: Lookup) -> ArmError:
    """The 404 that says what is missing first: the subscription, the group, or the resource."""
    from_group = id.group and row.name.lower() != "microsoft.resources/resourcegroups"
    if row.name.lower() == "microsoft.resources/subscriptions":
        return ArmError("SubscriptionNotFound", f"The subscription '{id.name}' could not be found.", status=404)
    if row.name.lower() == "microsoft.resources/resourcegroups":
        return ArmError("ResourceGroupNotFound", f"Resource group '{id.name}' could not be found.", status=404)
    if from_group and lookup.find(f"/subscriptions/{id.subscription}/resourcegroups/{id.group}") is None:
        return ArmError("ResourceGroupNotFound", f"Resource group '{id.group}' could not be found.", status=404)
    return not_found(row.name, id.name, id.group)
