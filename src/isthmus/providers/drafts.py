"""Isthmus.Connect/drafts: what the five steps of "Add AWS" have collected, kept by the server, judged and turned into a connector.

A draft keeps whatever was typed; only its shape and its size are refused. Its `connectorPrimaryIdentifier` is minted with it, so that the
template can be made and deployed before the connector exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from isthmus.arm.change import Change, JobOrder, OperationOrder
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, conflict, invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.engine import Engine, Lookup
from isthmus.providers.bodies import Body, read
from isthmus.providers.creation import create
from isthmus.providers.draft_rules import Rules
from isthmus.providers.explanation import explain
from isthmus.providers.history import VERSIONS
from isthmus.providers.hybridconnectivity import HybridConnectivity
from isthmus.solutions.arrivals import CHOICES, DETECT, DRAFTS, account_of, chosen

MAX_BYTES = 32 * 1024
MAX_DRAFTS = 100
STEPS = ("basics", "solutions", "template", "tags", "review")
_KEPT = ("connectorPrimaryIdentifier", "awaiting", "arrivals")


class Basics(Body):
    """Step 1."""

    resourceGroup: str | None = None
    connectorName: str | None = None
    location: str | None = None
    accountId: str | None = None
    isOrganizationalAccount: bool | None = None
    excludedAccounts: list[str] | None = None


class Choice(Body):
    """One solution of step 2: settings by the API's own names, all text."""

    enabled: bool | None = None
    settings: dict[str, str] | None = None


class Choices(Body):
    """Step 2."""

    inventory: Choice | None = None
    onboarding: Choice | None = None


class Tag(Body):
    """A tag as it was typed."""

    name: str
    value: str


class DraftProperties(Body):
    """What is collected; `step` is the one that was reached. `repeatedTags` were typed although their name stands in `tags` already."""

    step: Literal["basics", "solutions", "template", "tags", "review"] = "basics"
    basics: Basics | None = None
    solutions: Choices | None = None
    tags: dict[str, str] | None = None
    repeatedTags: list[Tag] | None = None


class Draft(Body):
    """A draft as it is put or patched."""

    properties: DraftProperties


@dataclass(frozen=True, kw_only=True)
class Drafts:
    """The row of drafts. What a draft becomes is made by `connectivity`, the namespace of connectors."""

    engine: Engine
    lookup: Lookup
    connectivity: HybridConnectivity

    def rows(self) -> tuple[ResourceType, ...]:
        """The one type."""
        here = frozenset({Scope.SUBSCRIPTION})
        row = ResourceType(
            name=DRAFTS,
            scopes=here,
            lists=here,
            versions=VERSIONS,
            name_pattern=re.compile(r"^[a-zA-Z0-9-]{1,64}$"),
            put=self._put,
            patch=self._patch,
            delete=lambda _old, ask: Change(deletes=(ask.id,)),
            actions=(
                Action(name="validate", act=self._validate, reads=True),
                Action(name="template", act=self._template, reads=True),
                Action(name="detect", act=_detect),
                Action(name="create", act=self._create),
            ),
        )
        return (row,)

    @property
    def rules(self) -> Rules:
        """What judges a draft."""
        return Rules(lookup=self.lookup, connectivity=self.connectivity)

    def _put(self, old: Resource | None, ask: Ask) -> Change:
        if old is None:
            self._require_room(ask)
        return _written(old, ask, ask.body)

    def _patch(self, old: Resource | None, ask: Ask) -> Change:
        """Members are merged, null removes one; tags are replaced as a whole, as ARM does."""
        assert old is not None
        given = ask.body.get("properties")
        collected = {name: value for name, value in old.properties.items() if name not in _KEPT}
        merged = _merged(collected, given) if isinstance(given, dict) else given
        if isinstance(merged, dict) and isinstance(given, dict) and "tags" in given:
            merged["tags"] = given["tags"]
        return _written(old, ask, {"properties": collected if given is None else merged})

    def _require_room(self, ask: Ask) -> None:
        there = self.lookup.page(types=[DRAFTS], subscription=ask.id.subscription, limit=MAX_DRAFTS).items
        if len(there) >= MAX_DRAFTS:
            raise conflict(
                f"The subscription has {MAX_DRAFTS} drafts, which is all that it may have. Create their connectors or delete some.",
                target=str(ask.id),
                code="TooManyDrafts",
            )

    def _validate(self, draft: Resource | None, ask: Ask) -> Answer:
        assert draft is not None
        return Answer(body=self.rules.judge(draft, ask).body())

    def _template(self, draft: Resource | None, ask: Ask) -> Answer:
        """The template of what is chosen so far. Raises everything that stands in its way."""
        assert draft is not None
        request = self.rules.template_request(draft)
        is_organization = draft.properties.get("basics", {}).get("isOrganizationalAccount") is True
        return Answer(body=explain(request, self.connectivity.template_url, is_organization=is_organization))

    def _create(self, draft: Resource | None, ask: Ask) -> Answer:
        assert draft is not None
        return Answer(status=201, body=create(self.engine, self.rules, ask))


def _written(old: Resource | None, ask: Ask, body: Mapping[str, Any]) -> Change:
    typed = read(Draft, body).properties.model_dump(exclude_none=True)
    size = len(orjson.dumps(typed))
    if size > MAX_BYTES:
        raise invalid(f"The draft has {size} bytes, more than the {MAX_BYTES} that are kept.", target="properties", code="DraftTooLarge")
    before = old.properties if old else {}
    kept = {"connectorPrimaryIdentifier": before.get("connectorPrimaryIdentifier") or ask.new_guid()}
    if STEPS.index(typed["step"]) >= STEPS.index("template"):
        kept["awaiting"] = before.get("awaiting") or instant(ask.now)
    arrivals = _still_true(before, typed)
    if arrivals:
        kept["arrivals"] = arrivals
    return Change(puts=(Resource(id=old.id if old else ask.id, properties={**typed, **kept}),))


def _still_true(before: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the stack, as far as the same roles are still asked for."""
    if account_of(before) != account_of(typed):
        return {}
    wanted = {CHOICES[name] for name in chosen(typed)}
    return {kind: arrival for kind, arrival in before.get("arrivals", {}).items() if kind in wanted}


def _merged(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396): objects are merged, null removes, everything else replaces."""
    merged = dict(old)
    for name, value in given.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            below = merged.get(name)
            merged[name] = _merged(below if isinstance(below, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def _detect(draft: Resource | None, ask: Ask) -> Answer:
    """Open the operation that asks now whether the stack has arrived."""
    assert draft is not None
    if not account_of(draft.properties) or not chosen(draft.properties):
        raise ArmError(
            "NothingToDetect",
            "The draft names no AWS account of 12 digits or no solution yet, so there is no role to look for. Complete these first.",
            status=409,
            target=str(ask.id),
        )
    operation = ask.new_guid()
    opened = OperationOrder(id=operation, resource=ask.id, kind="detect")
    order = JobOrder(job=DETECT, id=f"{DETECT}:{operation}", arguments={"draft": str(ask.id), "operation": operation})
    return Answer(change=Change(operation=opened, jobs=(order,)), style="both")
