"""Trust policies by their meaning: statements, what they demand of a key, and whether that demand can ever fail.

Sources: IAM User Guide, "IAM JSON policy elements" (single values and lists mean the same; names of keys, operators and actions ignore
letter case) and "Set operators for multivalued context keys" (`ForAllValues` and `…IfExists` hold when the key is missing).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any, Final

WEB_IDENTITY: Final = "sts:AssumeRoleWithWebIdentity"
SAML: Final = "sts:AssumeRoleWithSAML"

_INVERSE: Final = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
}
_PATTERNS: Final = frozenset({"stringlike", "arnlike", "arnequals"})
"""Operators that read `*` and `?` as wildcards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One operator on one key, both in lower case; `qualifier` is foranyvalue, forallvalues or empty."""

    operator: str
    key: str
    values: tuple[str, ...]
    qualifier: str = ""
    if_exists: bool = False

    @property
    def is_negative(self) -> bool:
        """Whether it holds for everything that is not named."""
        return self.operator in _INVERSE

    @property
    def reads_wildcards(self) -> bool:
        """Whether `*` in its values is a wildcard."""
        return self.operator in _PATTERNS

    @property
    def matches_everything(self) -> bool:
        """Whether one of its values, which are alternatives, matches any text."""
        return self.reads_wildcards and any("*" in value and not value.strip("*?") for value in self.values)

    @property
    def written(self) -> str:
        """The operator as people know it."""
        return f"{self.qualifier + ':' if self.qualifier else ''}{self.operator}{'IfExists' if self.if_exists else ''}"


class Bond(Enum):
    """How a key is bound by the conditions of a statement."""

    ABSENT = "absent"
    CANNOT_FAIL = "cannot fail"
    EVERYTHING = "matches everything"
    BOUND = "bound"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A statement of a trust policy. `principals` are (kind, value); `excepted` says that they are those who are not meant."""

    effect: str
    principals: tuple[tuple[str, str], ...]
    excepted: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def covers(self, action: str) -> bool:
        """Whether it speaks of an action."""
        if self.not_actions:
            return not any(_like(pattern, action) for pattern in self.not_actions)
        return any(_like(pattern, action) for pattern in self.actions)

    def means(self, kind: str, value: str) -> bool:
        """Whether it speaks of a principal."""
        named = (kind, value) in self.principals or any(one == "*" for _, one in self.principals)
        return named is not self.excepted


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a document; what is no statement is left out."""
    return tuple(_statement(one) for one in _listed(document.get("Statement")) if isinstance(one, Mapping))


def demands(all_of: Sequence[Statement], door: Statement, kind: str, value: str, action: str) -> tuple[Condition, ...]:
    """What must hold for a principal to come in by an Allow statement: its own conditions, and the contrary of those of each Deny that has
    just one."""
    denied = [one for one in all_of if one.effect == "Deny" and one.covers(action) and one.means(kind, value) and len(one.conditions) == 1]
    contrary = [inverted for one in denied if (inverted := _inverted(one.conditions[0])) is not None]
    return (*door.conditions, *contrary)


def bond(conditions: Iterable[Condition], key: str) -> Bond:
    """How a key is bound. Values of one condition are alternatives, conditions hold together: the weakest value and the strongest
    condition count."""
    every = tuple(conditions)
    if not on(every, key):
        return Bond.ABSENT
    able = binding(every, key)
    if not able:
        return Bond.CANNOT_FAIL
    return Bond.EVERYTHING if all(one.matches_everything for one in able) else Bond.BOUND


def binding(conditions: Iterable[Condition], key: str) -> tuple[Condition, ...]:
    """The conditions on a key that can fail."""
    every = tuple(conditions)
    present = any(
        one.key == key.lower()
        and ((one.operator == "null" and one.values == ("false",)) or (one.qualifier == "foranyvalue" and not one.if_exists))
        for one in every
    )
    return tuple(
        one for one in on(every, key) if not one.is_negative and (present or not (one.if_exists or one.qualifier == "forallvalues"))
    )


def on(conditions: Iterable[Condition], key: str) -> tuple[Condition, ...]:
    """The conditions on the value of a key; `Null` is about its presence alone."""
    return tuple(one for one in conditions if one.key == key.lower() and one.operator != "null")


def is_true(conditions: Iterable[Condition], key: str) -> bool:
    """Whether a key is demanded to be true."""
    return any(one.operator == "bool" and one.values == ("true",) and not one.if_exists for one in on(conditions, key))


def conditions_of(written: Any) -> tuple[Condition, ...]:
    """The `Condition` block of a statement."""
    return tuple(_conditions(written))


def _conditions(written: Any) -> Iterator[Condition]:
    for operator, keys in written.items() if isinstance(written, Mapping) else ():
        qualifier, colon, base = str(operator).lower().rpartition(":")
        if_exists = base.endswith("ifexists")
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            yield Condition(
                operator=base.removesuffix("ifexists"),
                key=str(key).lower(),
                values=tuple(_text(value) for value in _listed(values)),
                qualifier=qualifier if colon else "",
                if_exists=if_exists,
            )


def _statement(written: Mapping[str, Any]) -> Statement:
    excepted = "NotPrincipal" in written
    return Statement(
        effect="Deny" if str(written.get("Effect", "")).lower() == "deny" else "Allow",
        principals=tuple(_principals(written.get("NotPrincipal" if excepted else "Principal"))),
        excepted=excepted,
        actions=tuple(map(str, _listed(written.get("Action")))),
        not_actions=tuple(map(str, _listed(written.get("NotAction")))),
        conditions=conditions_of(written.get("Condition")),
    )


def _principals(written: Any) -> Iterator[tuple[str, str]]:
    if isinstance(written, str):
        yield "AWS", written
    for kind, values in written.items() if isinstance(written, Mapping) else ():
        for value in _listed(values):
            yield str(kind), str(value)


def _inverted(denied: Condition) -> Condition | None:
    """What has to hold for a Deny not to: None where that says nothing about the key's value. A negative operator denies a missing key."""
    if denied.operator == "null":
        return replace(denied, values=tuple("false" if value == "true" else "true" for value in denied.values))
    if denied.operator == "bool" and denied.values == ("false",):
        return replace(denied, values=("true",), if_exists=False)
    if not denied.is_negative or denied.qualifier == "foranyvalue":
        return None
    qualifier = "foranyvalue" if denied.qualifier == "forallvalues" else ""
    return replace(denied, operator=_INVERSE[denied.operator], qualifier=qualifier, if_exists=False)


@lru_cache(maxsize=1024)
def _like(pattern: str, text: str) -> bool:
    written = "".join(".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch(written, text, re.IGNORECASE | re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or str(value).lower() in ("true", "false") else str(value)
