"""What was compiled, and the two questions to it. Nothing is guessed: an event without a sure action makes its whole service unsure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from isthmus.clouds.aws.usage.facts import EXCEPTIONS, PREFIXES


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """By service: actions that events prove, and actions that they do not. `implied`: what an action asks for beside itself."""

    proven: Mapping[str, frozenset[str]]
    kept: Mapping[str, frozenset[str]]
    implied: Mapping[str, tuple[str, ...]]

    def remaining(self, permitted: Iterable[str], events: Collection[tuple[str, str]]) -> tuple[str, ...]:
        """What has to stay allowed of `permitted` (actions and patterns, as a role's statements name them) for somebody of whom exactly
        these events (`ec2.amazonaws.com`, `DescribeVpcs`) are known: all that was used, and all that could have been used unseen."""
        used, unsure = self._used(events)
        found = set[str]()
        for pattern in permitted:
            service, _, name = pattern.partition(":")
            if service not in self.proven or service in unsure or not name:
                found.add(pattern)
                continue
            mine = self.proven[service] | self.kept[service]
            matched = {one for one in mine if fnmatchcase(one.lower(), name.lower())}
            left = {one for one in matched if one in self.kept[service] or f"{service}:{one}" in used}
            found |= {pattern} if left == matched else {f"{service}:{one}" for one in left}
        return tuple(sorted(found))

    def _used(self, events: Collection[tuple[str, str]]) -> tuple[set[str], set[str]]:
        """Actions that events prove, with all that these imply; services with an event of no sure action."""
        used, unsure = set[str](), set[str]()
        for source, event in events:
            host = source.removesuffix(".amazonaws.com")
            service = PREFIXES.get(host, host)
            if service not in self.proven:
                used.add(f"{service}:{event}")
                continue
            actions = EXCEPTIONS.get(service, {}).get(event, (event,))
            if all(one in self.proven[service] or one in self.kept[service] for one in actions):
                used |= {f"{service}:{one}" for one in actions}
            else:
                unsure.add(service)
        waiting = list(used)
        while waiting:
            more = set(self.implied.get(waiting.pop(), ())) - used
            used |= more
            waiting += more
        return used, unsure


@cache
def load() -> Usage:
    """What `compile` wrote."""
    document = json.loads(resources.files(__package__).joinpath("actions.json").read_text())
    services = document["services"].items()
    return Usage(
        proven={service: frozenset(one["proven"]) for service, one in services},
        kept={service: frozenset(one["kept"]) for service, one in services},
        implied={action: tuple(asked) for action, asked in document["implied"].items()},
    )
