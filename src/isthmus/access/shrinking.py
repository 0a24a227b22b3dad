"""Least privilege by use: a session policy of the actions that a person has used in a role, as narrow as STS's limit lets it be.

It only ever narrows: the role's own policies still decide, and every used action stays allowed. Where the actions do not fit one by one,
those of a service become verbs (`s3:Get*`), then the service (`s3:*`), where that saves most; at last everything.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final, Protocol

DAYS: Final = 90
"""How many days of use count."""
EVERYTHING: Final = ("*",)
_ACTION = re.compile(r"(?P<service>[a-z0-9-]{1,40}):(?P<name>[A-Za-z0-9*?]{1,80})", re.ASCII)
_VERB = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")


class UsedActions(Protocol):
    """Knows what people did in accounts."""

    def used_actions(self, person: str, mapping: str, days: int) -> Collection[str]:
        """IAM actions and patterns (`s3:GetObject`) that have to stay allowed for a person (object id) by a mapping (key), by what was used
        in the last days; empty when nothing is known."""
        ...


def narrow(used: Iterable[str], fits: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    """The narrowest actions that cover all of `used` and fit. Nothing used, or something that is no action, is everything: nobody is locked
    out by what was not seen."""
    chosen = sorted(set(used))
    if not chosen or not all(_ACTION.fullmatch(one) for one in chosen):
        return EVERYTHING
    for wide, least in ((_verb_of, 2), (_service_of, 2), (_service_of, 1)):
        while not fits(tuple(chosen)):
            merged = max(_merges(chosen, wide, least), key=lambda one: (_size(chosen) - _size(one), one), default=None)
            if merged is None:
                break
            chosen = merged
    return tuple(chosen) if fits(tuple(chosen)) else EVERYTHING


def covers(actions: Iterable[str], used: str) -> bool:
    """Whether one of the actions, which may be patterns, allows a used one."""
    return any(fnmatchcase(used, pattern) for pattern in actions)


def _merges(chosen: list[str], wide: Callable[[str], str], least: int) -> Iterator[list[str]]:
    """What the actions become when one group of so many at least gives way to its pattern, for every group for which that is shorter."""
    groups: dict[str, list[str]] = defaultdict(list)
    for one in chosen:
        groups[wide(one)].append(one)
    for pattern, members in groups.items():
        if len(members) >= least and _size([pattern]) < _size(members):
            yield sorted({*chosen, pattern} - (set(members) - {pattern}))


def _verb_of(action: str) -> str:
    service, _, name = action.partition(":")
    verb = _VERB.match(name)
    return f"{service}:{verb.group()}*" if verb else action


def _service_of(action: str) -> str:
    return f"{action.partition(':')[0]}:*"


def _size(actions: Collection[str]) -> int:
    """Characters in a policy: each action with its quotes and comma."""
    return sum(len(one) + 3 for one in actions)
