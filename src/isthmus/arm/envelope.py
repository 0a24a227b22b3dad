"""A resource as the product holds it, and the JSON envelope that ARM puts around it. camelCase lives here and in bodies only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from isthmus.arm.errors import invalid
from isthmus.arm.ids import ResourceId

MAX_TAGS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemData:
    """Who made and last changed a resource, and when (epoch milliseconds)."""

    created_by: str
    created_by_kind: str
    created_at: int
    changed_by: str
    changed_by_kind: str
    changed_at: int

    def body(self) -> dict[str, str]:
        """ARM's `systemData`."""
        return {
            "createdBy": self.created_by,
            "createdByType": self.created_by_kind,
            "createdAt": instant(self.created_at),
            "lastModifiedBy": self.changed_by,
            "lastModifiedByType": self.changed_by_kind,
            "lastModifiedAt": instant(self.changed_at),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One resource. `unique` must be unique in the tenant; `source` and `digest` belong to projections (see the store's tables).

    `extra` holds further top-level members (kind, identity, …).
    """

    id: ResourceId
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    system: SystemData | None = None
    etag: str = ""
    unique: str | None = None
    source: str | None = None
    digest: str | None = None

    def body(self, *, type_name: str, tracked: bool) -> dict[str, Any]:
        """The envelope: id, name, type, location and tags of tracked types, further members, properties, systemData, etag."""
        answer: dict[str, Any] = {"id": str(self.id), "name": self.id.name, "type": type_name}
        if tracked:
            answer["location"] = self.location
            answer["tags"] = dict(self.tags)
        answer.update(self.extra)
        answer["properties"] = dict(self.properties)
        if self.system is not None:
            answer["systemData"] = self.system.body()
        return answer


def instant(milliseconds: int) -> str:
    """ISO 8601 with milliseconds and `Z`, as ARM writes it."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_TAG_NAME = re.compile(r"^[^<>%&\\?/\x00-\x1f]{1,512}$")


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_TAG_BYTES = 2000


def tags_of(given: object, *, target: str = "tags") -> dict[str, str]:
    """Tags of a body, checked by ARM's rules: at most 50, names up to 512 characters, values up to 256; null means none."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise invalid("Tags must be an object of strings.", target=target)
    if len(given) > MAX_TAGS:
        raise invalid(f"{len(given)} tags are given; a resource carries at most {MAX_TAGS}.", target=target, code="InvalidTags")
    folded: set[str] = set()
    for name, value in given.items():
        if not _TAG_NAME.match(name):
            raise invalid(
                f"The tag name '{name[:64]}' is empty, too long or holds one of <>%&\\?/.", target=target, code="InvalidTagNameCharacters"
            )
        if not isinstance(value, str) or len(value) > 256 or _CONTROL.search(value) or len((name + value).encode()) > _MAX_TAG_BYTES:
            what = f"The value of tag '{name[:64]}' must be text of at most 256 characters without control characters."
            raise invalid(what, target=f"{target}.{name[:64]}", code="InvalidTagValue")
        if name.lower() in folded:
            raise invalid(f"The tag '{name}' is given twice; tag names differ by more than case.", target=target, code="InvalidTags")
        folded.add(name.lower())
    return dict(given)


_LOCATION = re.compile(r"^[a-z0-9]{2,64}$")


def location_of(given: object) -> str:
    """The location of a body in ARM's short form (`East US` and `eastus` are one place); raises ArmError 400 `LocationRequired`."""
    if not isinstance(given, str) or not given.strip():
        raise invalid("The location property is required for this resource.", target="location", code="LocationRequired")
    short = given.replace(" ", "").lower()
    if not _LOCATION.match(short):
        raise invalid(f"'{given[:64]}' is not a location.", target="location", code="InvalidLocation")
    return short
