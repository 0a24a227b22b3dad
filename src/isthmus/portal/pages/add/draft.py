"""The draft behind the wizard: read, judged and saved through the API, and never saved over what somebody else has saved meanwhile."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit, local

START = "/portal/connectors/add"
STEPS: Mapping[str, str] = {
    "basics": "Basics",
    "solutions": "Solutions",
    "template": "Authentication template",
    "tags": "Tags",
    "review": "Review + create",
}
"""Steps in Azure's order, with their titles."""
ORDER = tuple(STEPS)
KINDS: Mapping[str, str] = {"inventory": "Microsoft.AssetManagement", "onboarding": "Microsoft.HybridCompute.Onboard"}
SOLUTIONS: Mapping[str, str] = {"inventory": "Inventory", "onboarding": "Arc onboarding"}
"""What people call what a draft names so."""
NAME = re.compile(r"[a-zA-Z0-9-]{1,64}")
"""What a draft can be called."""
_TYPED = ("basics", "solutions", "tags", "repeatedTags")
_SECTIONS: Mapping[str, tuple[str, ...]] = {"basics": ("basics",), "solutions": ("solutions",), "tags": ("tags", "repeatedTags")}
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A draft as it is stored, or as a form wants it to be."""

    name: str
    root: str
    etag: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its resource id."""
        return f"{self.root}/providers/Isthmus.Connect/drafts/{self.name}"

    @property
    def basics(self) -> Mapping[str, Any]:
        """What step 1 collected."""
        found: Mapping[str, Any] = self.properties.get("basics", {})
        return found

    @property
    def reached(self) -> int:
        """The number of the step that was reached, from 0."""
        return ORDER.index(self.properties.get("step", "basics"))

    def solution(self, name: str) -> Mapping[str, Any]:
        """What step 2 collected about one solution."""
        found: Mapping[str, Any] = self.properties.get("solutions", {}).get(name, {})
        return found

    def settings(self, name: str) -> Mapping[str, str]:
        """The settings of one solution, as they were typed."""
        found: Mapping[str, str] = self.solution(name).get("settings", {})
        return found

    def is_on(self, name: str) -> bool:
        """Whether a solution is chosen."""
        return self.solution(name).get("enabled") is True

    def section(self, step: str) -> dict[str, Any]:
        """What a step collects, as it stands in the draft; everything for the step that looks at everything."""
        names = _SECTIONS.get(step, _TYPED)
        return {name: self.properties[name] for name in names if name in self.properties}

    def seal(self, step: str) -> str:
        """A word that changes when what a step collects changes."""
        return hashlib.sha256(orjson.dumps(self.section(step), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def with_typed(self, typed: Mapping[str, Any], step: str) -> Draft:
        """The draft with what was typed, at a step or beyond it."""
        reached = ORDER[max(self.reached, ORDER.index(step))]
        return replace(self, properties={**self.properties, **typed, "step": reached})


NEW: Mapping[str, Any] = {"solutions": {"inventory": {"enabled": True, "settings": {}}, "onboarding": {"enabled": False, "settings": {}}}}
"""What a draft begins with: inventory is on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing that another tab or person saved: where, what is saved, and what was typed here."""

    path: str
    before: str
    after: str


class DraftGone(Exception):
    """The draft was discarded, or became a connector."""


class DraftChanged(Exception):
    """Somebody saved the same step since the form was made; `draft` is what is saved now."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft.name)
        self.draft = draft


def find_draft(visit: Visit, name: str) -> Draft | None:
    """The draft of this name in the subscription that is looked at."""
    asked = Draft(name=name, root=visit.root)
    try:
        answer = visit.client.fetch(asked.id)
    except ArmError as error:
        if error.status == 404:
            return None
        raise
    return replace(asked, etag=answer.etag, properties=answer.body["properties"])


def require_draft(visit: Visit) -> Draft:
    """The draft that the address names. Raises DraftGone."""
    name = visit.path["draft"]
    found = find_draft(visit, name) if NAME.fullmatch(name) else None
    if found is None:
        raise DraftGone
    return found


def save(visit: Visit, draft: Draft, step: str, typed: Mapping[str, Any], seen: str, reached: str) -> Draft:
    """Save what a step collected, and which step was reached.

    `seen` is the seal of the step when its form was made. Raises DraftChanged when something else is saved by now and DraftGone; the
    API's ArmError when it refuses. What the server itself notes about a draft (that its stack has arrived) stands in nobody's way.
    """
    for _ in range(_ATTEMPTS):
        wanted = draft.with_typed(typed, reached)
        if wanted.section(step) != draft.section(step) and seen != draft.seal(step):
            raise DraftChanged(draft)
        if wanted.properties == draft.properties:
            return draft
        try:
            answer = visit.client.put(draft.id, {"properties": dict(wanted.properties)}, etag=draft.etag)
        except ArmError as error:
            if error.status not in (404, 412):
                raise
            found = find_draft(visit, draft.name)
            if found is None:
                raise DraftGone from error
            draft = found
            continue
        return replace(draft, etag=answer.etag, properties=answer.body["properties"])
    raise DraftChanged(draft)


def changes(saved: Draft, typed: Draft, step: str) -> tuple[Change, ...]:
    """Where what is saved differs from what was typed."""
    before, after = dict(_leaves(saved.section(step), "")), dict(_leaves(typed.section(step), ""))
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    return tuple(Change(path=path, before=before.get(path, ""), after=after.get(path, "")) for path in paths)


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, below in enumerate(value, 1):
            yield from _leaves(below, f"{path}.{number}")
    else:
        yield path, str(value)


def address(visit: Visit, name: str, step: str) -> str:
    """The page of a step; the start for a draft without a name. The subscription is named where there are several."""
    return local(f"{START}/{name}/{step}" if name else START, subscription=_named(visit))


def start_address(visit: Visit, done: str) -> str:
    """The start, which says what was done."""
    return local(START, subscription=_named(visit), done=done)


def _named(visit: Visit) -> str:
    return visit.subscription if len(visit.subscriptions) > 1 else ""
