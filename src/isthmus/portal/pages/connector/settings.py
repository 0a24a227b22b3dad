"""Settings of a solution as a form: made of what the API says of each setting, and read back into what it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from isthmus.portal.forms import Form, Problems
from isthmus.portal.page import Visit
from isthmus.portal.pages.connector.subject import Connector

_EVERYTHING: Mapping[str, str] = MappingProxyType(
    {"cloudProviderServiceTypes": "scanAllAWSServices", "cloudProviderRegions": "scanAllAWSRegions"}
)
"""Lists that go with a setting for everything: one question in the form."""
_SEPARATOR = re.compile(r"[,\s]+")
_ON = "true"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What the API says of a setting. `options` are allowed values with their names; `takes_others`: a list may hold more than these."""

    name: str
    label: str
    kind: str
    description: str
    default: str
    options: tuple[tuple[str, str], ...]
    takes_others: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SolutionType:
    """A solution type that the API offers."""

    kind: str
    description: str
    settings: tuple[Setting, ...]

    def defaults(self) -> dict[str, str]:
        """Every setting at its default."""
        return {one.name: one.default for one in self.settings}


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A setting in a form. `shape` is switch, choice, text or list; a list is all (`has_all`) or `chosen`, and `more` without a box.

    `everything` names the setting that stands for all of a list, empty where there is none.
    """

    id: str
    name: str
    label: str
    hint: str
    shape: str
    value: str
    options: tuple[tuple[str, str], ...]
    has_all: bool
    everything: str
    chosen: tuple[str, ...]
    more: str
    takes_others: bool
    problem: str


def solution_types(visit: Visit, connector: Connector) -> tuple[SolutionType, ...]:
    """What can be configured: one call."""
    found = visit.client.list(f"{connector.root}/providers/Microsoft.HybridConnectivity/solutionTypes")
    return tuple(_type(one["properties"]) for one in found)


def _type(told: Mapping[str, Any]) -> SolutionType:
    return SolutionType(
        kind=told["solutionType"],
        description=told["description"],
        settings=tuple(
            Setting(
                name=one["name"],
                label=one["displayName"],
                kind=one["type"],
                description=one["description"],
                default=one["defaultValue"],
                options=tuple((value, one.get("allowedValueTitles", {}).get(value, value)) for value in one["allowedValues"] if value),
                takes_others=one.get("allowsOtherValues") is True,
            )
            for one in told["solutionSettings"]
        ),
    )


def fields_of(kind: SolutionType, values: Mapping[str, str], prefix: str, problems: Problems) -> tuple[Field, ...]:
    """The form of a solution with these values; `prefix` keeps ids apart where several forms are on a page."""
    paired = {everything for name, everything in _EVERYTHING.items() if any(one.name == name for one in kind.settings)}
    return tuple(_field(one, values, prefix, problems) for one in kind.settings if one.name not in paired)


def _field(setting: Setting, values: Mapping[str, str], prefix: str, problems: Problems) -> Field:
    value, everything = values.get(setting.name, setting.default), _EVERYTHING.get(setting.name, "")
    words = _words(value)
    known = {key for key, _ in setting.options}
    is_list = setting.kind == "array" and bool(setting.options)
    shape = "list" if is_list else "switch" if setting.kind == "boolean" else "choice" if setting.options else "text"
    # A list that names less than everything wins over the setting for everything, as it does in the API.
    has_all = bool(everything) and values.get(everything, _ON) == _ON and words == _words(setting.default)
    id = field_id(prefix, setting.name)
    return Field(
        id=id,
        name=setting.name,
        label=setting.label,
        hint=f"{setting.description} {_default(setting, everything)}",
        shape=shape,
        value=value,
        options=setting.options,
        has_all=has_all,
        everything=everything,
        chosen=() if has_all else words,
        more="" if has_all else ", ".join(word for word in words if word not in known),
        takes_others=setting.takes_others,
        problem=problems.at(id),
    )


def _default(setting: Setting, everything: str) -> str:
    if everything:
        return "Default: all."
    if setting.kind == "boolean":
        return f"Default: {'on' if setting.default == _ON else 'off'}."
    return f"Default: {setting.default or 'empty'}."


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _SEPARATOR.split(value) if word)


def field_id(prefix: str, setting: str) -> str:
    """The id of a setting's field."""
    return f"{prefix}-{setting}"


def targets(kind: SolutionType, prefix: str) -> dict[str, str]:
    """Where the API's refusals belong: the settings in its errors, and the fields of the form."""
    owner = {everything: name for name, everything in _EVERYTHING.items()}
    return {f"properties.solutionSettings.{one.name}": field_id(prefix, owner.get(one.name, one.name)) for one in kind.settings}


def typed_settings(form: Form, kind: SolutionType) -> dict[str, str]:
    """What a form says, as the API takes it: every value is text."""
    typed: dict[str, str] = {}
    for setting in kind.settings:
        everything = _EVERYTHING.get(setting.name, "")
        if everything:
            has_all = form.get(everything, "all") == "all"
            typed[everything] = _ON if has_all else "false"
            typed[setting.name] = setting.default if has_all else ", ".join(_listed(form, setting.name))
        elif setting.kind == "boolean":
            # Those that belong to a list have their value from it.
            typed.setdefault(setting.name, _ON if form.get(setting.name) == _ON else "false")
        elif setting.kind == "array" and setting.options:
            typed[setting.name] = ", ".join(_listed(form, setting.name))
        else:
            typed[setting.name] = form.get(setting.name, setting.default)
    return typed


def _listed(form: Form, name: str) -> tuple[str, ...]:
    given = (*form.list(name), *form.list(f"{name}-more"))
    return tuple(dict.fromkeys(word for text in given for word in _SEPARATOR.split(text) if word))
