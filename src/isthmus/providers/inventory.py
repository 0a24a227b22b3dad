"""Isthmus.Inventory over projections: a list to browse with its facets, and how projections relate. See `isthmus.solutions.browse`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Row

from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.ids import group_id
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.clouds.aws.catalog import TYPES
from isthmus.solutions.browse import ORDERS, Browser, Filters
from isthmus.solutions.places import AWS_CONNECTOR, CLUSTERS, MACHINES
from isthmus.solutions.relations import DIRECTIONS, Relation, Relations
from isthmus.store import Store

VERSIONS = ("2026-11-01",)
RESOURCES = "Isthmus.Inventory/resources"
FACETS = "Isthmus.Inventory/facets"
RELATIONS = "Isthmus.Inventory/relations"
GLOBAL = "global"
"""How resources that lie in no region are spelt where regions are."""
_PROJECTED = {name.lower(): name for name in TYPES}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 256
_PLACES = frozenset({Scope.SUBSCRIPTION, Scope.GROUP})


def rows(store: Store) -> tuple[ResourceType, ...]:
    """The rows over projections."""
    browser = Browser(store=store)
    return (_resources(browser), _facets(browser), _relations(Relations(store=store)))


def filters_of(ask: Ask) -> Filters:
    """The filters of a query; raises ArmError 400 `InvalidFilter` for what no projection can match or no database can take."""
    query = ask.query
    if query.get("$filter"):
        raise _wrong("$filter", "is not taken here: filter by the parameters account, region, type, name and tag.")
    region, kind = _word(query, "region").lower(), _word(query, "type")
    if (account := _word(query, "account")) and not re.fullmatch(r"[0-9]{12}", account, re.ASCII):
        raise _wrong("account", "must be an AWS account ID of 12 digits.")
    if not re.fullmatch(r"[a-z0-9-]{0,32}", region):
        raise _wrong("region", "must be an AWS region, or global.")
    if kind and kind.lower() not in _PROJECTED:
        raise _wrong("type", "must be a type of the inventory, as resourceType spells it.")
    return Filters(
        subscription=ask.id.subscription,
        group=ask.id.group,
        account=account,
        region=None if not region else "" if region == GLOBAL else region,
        type=_PROJECTED.get(kind.lower(), ""),
        name=_word(query, "name"),
        tag=_word(query, "tag"),
    )


def _word(query: Mapping[str, str], name: str) -> str:
    given = query.get(name, "").strip(" ")
    if len(given) > _LONGEST or _CONTROL.search(given):
        raise _wrong(name, f"must be text of at most {_LONGEST} characters without control characters.")
    return given


def _wrong(name: str, what: str) -> ArmError:
    return invalid(f"The parameter {name} {what}", target=name, code="InvalidFilter")


def _resources(browser: Browser) -> ResourceType:
    def listed(ask: Ask) -> Window:
        wanted = filters_of(ask)
        order, descends = paging.order_of(ask.query, tuple(ORDERS), default="type")
        skip, top, counted = paging.skip_of(ask.query), paging.page_size(ask.query), paging.wants_count(ask.query)
        found, more = browser.window(wanted, order=order, descends=descends, skip=skip, top=top)
        count = browser.count(wanted) if counted else None
        return Window(items=[_resource(row, str(ask.id.scope)) for row in found], count=count, more=more)

    return ResourceType(name=RESOURCES, scopes=_PLACES, lists=_PLACES, versions=VERSIONS, window=listed)


def _resource(row: Row[Any], scope: str) -> dict[str, Any]:
    arn = orjson.loads(row.document)["properties"].get("arn") or ""
    properties = {
        "resourceId": row.resource_id,
        "displayName": row.name,
        "awsId": row.aws_id or arn,
        "arn": arn,
        "awsAccountId": row.account,
        "awsRegion": row.region,
        "resourceType": row.type,
        "service": _service_of(row.type),
        "changedAt": instant(row.changed_at),
    }
    return {"id": f"{scope}/providers/{RESOURCES}/{row.id}", "name": str(row.id), "type": RESOURCES, "properties": properties}


def _service_of(kind: str) -> str:
    return TYPES[kind].service if kind in TYPES else ""


def _facets(browser: Browser) -> ResourceType:
    def body(ask: Ask) -> dict[str, Any]:
        found = browser.facets(filters_of(ask))
        properties = {
            "total": found.total,
            "isComplete": found.is_complete,
            "accounts": [{"value": value, "count": count} for value, count in found.accounts],
            "regions": [{"value": value or GLOBAL, "count": count} for value, count in found.regions],
            "types": [{"value": value, "count": count} for value, count in found.types],
        }
        return {"id": f"{ask.id.scope}/providers/{FACETS}/default", "name": "default", "type": FACETS, "properties": properties}

    def one(ask: Ask) -> Mapping[str, Any] | None:
        return body(ask) if ask.id.name.lower() == "default" else None

    def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
        return [body(ask)]

    return ResourceType(name=FACETS, scopes=_PLACES, lists=_PLACES, versions=VERSIONS, read=one, enumerate=listed)


def _relations(relations: Relations) -> ResourceType:
    extended = (*(f"{AWS_CONNECTOR}/{name}" for name in TYPES), MACHINES, CLUSTERS)

    def listed(ask: Ask) -> Window:
        """Who may not read the group that holds the account learns what the resource itself says."""
        assert ask.parent is not None
        subject, direction = ask.parent, _direction(ask.query)
        skip, top, counted = paging.skip_of(ask.query), paging.page_size(ask.query), paging.wants_count(ask.query)
        sees_all = ask.permits(f"{RESOURCES}/read", str(group_id(subject.id.subscription, subject.id.group)))
        found, more = relations.window(subject, direction=direction, sees_all=sees_all, skip=skip, top=top)
        count = relations.count(subject, direction=direction, sees_all=sees_all) if counted else None
        return Window(items=[_relation(one, str(subject.id)) for one in found], count=count, more=more)

    here = frozenset({Scope.EXTENSION})
    return ResourceType(name=RELATIONS, scopes=here, lists=here, extends=extended, versions=VERSIONS, window=listed)


def _direction(query: Mapping[str, str]) -> str:
    given = _word(query, "direction")
    found = next((name for name in DIRECTIONS if name.lower() == given.lower()), None)
    if given and found is None:
        raise _wrong("direction", f"must be one of {', '.join(DIRECTIONS)}.")
    return found or ""


def _relation(one: Relation, subject: str) -> dict[str, Any]:
    other = one.resource
    mark = f"{one.direction}|{one.target}|{other.key if other is not None else ''}"
    name = f"{one.direction}-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    properties = {
        "direction": one.direction,
        "known": other is not None,
        "awsId": one.target,
        "resourceId": other.id if other is not None else None,
        "displayName": (other.called or other.name) if other is not None else one.target,
        "resourceType": (other.kind or other.id.rpartition("/providers/")[2].rpartition("/")[0]) if other is not None else None,
    }
    return {"id": f"{subject}/providers/{RELATIONS}/{name}", "name": name, "type": RELATIONS, "properties": properties}
