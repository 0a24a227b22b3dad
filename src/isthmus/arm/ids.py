"""Resource identifiers: parsing, rendering and walking them.

Every ARM path is a chain of scopes. `/subscriptions/{s}` and `/subscriptions/{s}/resourceGroups/{rg}` are resources of Microsoft.Resources
that other ids lie in; `/providers/{namespace}` starts a resource inside its scope or one that extends it. Ids compare without case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from isthmus.arm.errors import ArmError

RESOURCES = "Microsoft.Resources"
MAX_ID = 2048
MAX_NAME = 260
_WORD = re.compile(r"^[A-Za-z][A-Za-z0-9.]{0,127}$")
_TYPE = re.compile(r"^[A-Za-z][A-Za-z0-9]{0,127}$")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>%&\\?/#]")


@dataclass(frozen=True, slots=True)
class ResourceId:
    """One id: `types` and `names` below `scope` (None is the tenant).

    A collection has one name fewer than types: `/subscriptions/{s}/resourceGroups`.
    `str()` gives ARM's form, `key` the form to compare and store.
    """

    scope: ResourceId | None
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]
    _text: str = field(default="", compare=False, repr=False)
    _key: str = field(default="", compare=False, repr=False)

    @property
    def is_collection(self) -> bool:
        """Whether it names all resources of a type in a scope, not one of them."""
        return len(self.names) < len(self.types)

    @property
    def type(self) -> str:
        """Full type, for example `Microsoft.HybridCompute/machines`."""
        return "/".join((self.namespace, *self.types))

    @property
    def name(self) -> str:
        """Last name; empty for a collection."""
        return "" if self.is_collection else self.names[-1]

    @property
    def parent(self) -> ResourceId | None:
        """What it lies in: the resource above it, the resource it extends, its group or subscription; None at tenant level."""
        if len(self.types) > 1:
            return ResourceId(self.scope, self.namespace, self.types[:-1], self.names[: len(self.types) - 1])
        return self.scope

    @property
    def chain(self) -> Iterator[ResourceId]:
        """The id itself, then every scope around it, outwards."""
        current: ResourceId | None = self
        while current is not None:
            yield current
            current = current.scope

    @property
    def subscription(self) -> str:
        """Subscription id, empty at tenant level."""
        return next((link.names[0] for link in self.chain if link._is("subscriptions") and link.names), "")

    @property
    def group(self) -> str:
        """Resource group name, empty outside groups."""
        return next((link.names[0] for link in self.chain if link._is("resourcegroups") and link.names), "")

    @property
    def key(self) -> str:
        """Lower-cased id: what is stored and compared."""
        if not self._key:
            object.__setattr__(self, "_key", str(self).lower())
        return self._key

    def _is(self, plumbing: str) -> bool:
        return self.namespace == RESOURCES and len(self.types) == 1 and self.types[0].lower() == plumbing

    def __str__(self) -> str:
        if not self._text:
            object.__setattr__(self, "_text", self._render())
        return self._text

    def _render(self) -> str:
        above = "" if self.scope is None else str(self.scope)
        path = "".join(f"/{part}" for pair in zip(self.types, self.names, strict=False) for part in pair)
        if self.is_collection:
            path += f"/{self.types[-1]}"
        plain = self.namespace == RESOURCES and self.types[0].lower() in _PLACES
        return above + path if plain else f"{above}/providers/{self.namespace}{path}"

    def child(self, kind: str, name: str) -> ResourceId:
        """A resource one level below this one, of the same namespace."""
        return ResourceId(self.scope, self.namespace, (*self.types, kind), (*self.names, name))

    def extension(self, full_type: str, name: str) -> ResourceId:
        """A resource of another provider in this scope: `{self}/providers/{namespace}/{type}/{name}`."""
        namespace, _, kind = full_type.partition("/")
        return ResourceId(self, namespace, (kind,), (name,))


# Plumbing of Microsoft.Resources that ARM addresses without /providers, and the only scopes it may stand in ("" is the tenant). Rights are
# decided by prefix and rows are found by subscription and group: a second subscription or group inside one would let the two differ.
_PLACES: Mapping[str, frozenset[str]] = {
    "subscriptions": frozenset({""}),
    "tenants": frozenset({""}),
    "providers": frozenset({"", "subscriptions"}),
    "resourcegroups": frozenset({"subscriptions"}),
    "locations": frozenset({"subscriptions"}),
    "operationresults": frozenset({"subscriptions"}),
    "resources": frozenset({"subscriptions", "resourcegroups"}),
}


def subscription_id(subscription: str) -> ResourceId:
    """The id of a subscription."""
    return ResourceId(None, RESOURCES, ("subscriptions",), (subscription,))


@lru_cache(maxsize=1024)
def group_id(subscription: str, group: str) -> ResourceId:
    """The id of a resource group."""
    return ResourceId(subscription_id(subscription), RESOURCES, ("resourceGroups",), (group,))


def parse(text: str) -> ResourceId:
    """The id or collection that a path names; percent-escapes are decoded, repeated slashes collapsed.

    Raises ArmError 400 `InvalidResourceId` naming what is wrong.
    """
    if len(text) > MAX_ID:
        raise _malformed(text, f"it has {len(text)} characters; at most {MAX_ID} are allowed")
    segments = [unquote(part) for part in text.split("/") if part]
    if not segments:
        raise _malformed(text, "it is empty")
    current: ResourceId | None = None
    position = 0
    while position < len(segments):
        current, position = _link(text, segments, position, current)
    assert current is not None
    if len(str(current).encode()) > MAX_ID:
        raise _malformed(text, f"it has more than {MAX_ID} bytes in UTF-8")
    return current


def stored(text: str) -> ResourceId:
    """The id of a row: text that `str` of an id once made, so that it is split and not examined. Scopes are shared between ids."""
    scope, found, path = text.rpartition("/providers/")
    if not found:
        return _scope(text)
    namespace, *rest = path.split("/")
    return ResourceId(_scope(scope) if scope else None, namespace, tuple(rest[::2]), tuple(rest[1::2]), text)


@lru_cache(maxsize=1024)
def _scope(text: str) -> ResourceId:
    return parse_resource(text)


def parse_resource(text: str) -> ResourceId:
    """Like `parse`, and refuses a collection."""
    found = parse(text)
    if found.is_collection:
        raise _malformed(text, "it names a collection, not a resource")
    return found


def _link(text: str, segments: list[str], position: int, scope: ResourceId | None) -> tuple[ResourceId, int]:
    word = segments[position]
    if word.lower() == "providers":
        return _provider(text, segments, position, scope)
    inside = "" if scope is None else scope.types[0].lower() if scope.namespace == RESOURCES else "a resource"
    if inside not in _PLACES.get(word.lower(), ()):
        raise _malformed(text, f"'{word[:64]}' is not expected at this place")
    name = segments[position + 1] if position + 1 < len(segments) else None
    if name is None or word.lower() == "resources":
        return ResourceId(scope, RESOURCES, (word,), ()), position + 1
    return ResourceId(scope, RESOURCES, (_canonical(word),), (_name(text, name),)), position + 2


def _canonical(word: str) -> str:
    return {"resourcegroups": "resourceGroups", "subscriptions": "subscriptions"}.get(word.lower(), word)


def _provider(text: str, segments: list[str], position: int, scope: ResourceId | None) -> tuple[ResourceId, int]:
    """The part after `/providers`: a namespace, then types and names up to the next `/providers` or the end."""
    end = next((i for i in range(position + 1, len(segments)) if segments[i].lower() == "providers"), len(segments))
    part = segments[position + 1 : end]
    if len(part) < 2:
        if end < len(segments) or (scope is not None and not scope._is("subscriptions")):
            raise _malformed(text, "a provider is addressed at the tenant or in a subscription, and nothing lies below it")
        return ResourceId(scope, RESOURCES, ("providers",), tuple(_word(text, ns) for ns in part)), end
    if part[0].lower() == RESOURCES.lower() and part[1].lower() in ("subscriptions", "resourcegroups"):
        raise _malformed(text, f"'{part[1]}' is addressed without /providers/{RESOURCES}")
    kinds = tuple(_kind(text, kind) for kind in part[1::2])
    names = tuple(_name(text, name) for name in part[2::2])
    if end < len(segments) and len(names) < len(kinds):
        raise _malformed(text, f"'{kinds[-1]}' has no name before the next /providers")
    return ResourceId(scope, _word(text, part[0]), kinds, names), end


def _word(text: str, word: str) -> str:
    if not _WORD.match(word):
        raise _malformed(text, f"'{word[:64]}' is not a provider namespace")
    return word


def _kind(text: str, kind: str) -> str:
    if not _TYPE.match(kind):
        raise _malformed(text, f"'{kind[:64]}' is not a resource type")
    return kind


def _name(text: str, name: str) -> str:
    if len(name) > MAX_NAME:
        raise _malformed(text, f"a name has {len(name)} characters; at most {MAX_NAME} are allowed")
    if _UNSAFE.search(name) or name != name.strip():
        raise _malformed(text, "a name holds characters that no resource name may hold (control characters, blanks at an end, <>%&\\?/#)")
    return name


def _malformed(text: str, why: str) -> ArmError:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return ArmError("InvalidResourceId", f"The resource id '{shown}' is malformed: {why}.", status=400)
