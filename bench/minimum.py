"""The fewest AWS calls with which an account can be read as the catalog wants it: what a scan's calls are held against.

Σ pages at the largest page size, one list per parent, details in the largest batches, one sweep of the tagging API per region that has rows
needing it, one session, one list of regions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from isthmus.clouds.aws.catalog import HOME, TAGGING, TYPES, AwsType
from isthmus.clouds.aws.wire.models import operation

SESSION: Final = 1
REGIONS: Final = 1
TAGS_PER_CALL: Final = 100
AMERICA: Final = "us-east-1"

Place = tuple[str, str]
"""A cell as (type, region); the region is empty for types that AWS lists once per account."""


def minimum_calls(rows: Mapping[Place, int], parents: Mapping[Place, int] | None = None) -> int:
    """The calls of a scan that listed `rows` per cell. `parents` are rows of parent types that no cell lists (users and their keys).

    Assumes that AWS fills its pages, answers children no more than a page each, and that nothing is known beforehand: an empty cell costs
    its list. Types that share a list, or a sweep, share its calls. Rows of a type that is a parent's parent are counted where they lie.
    """
    known = {**(parents or {}), **rows}
    calls: dict[tuple[str, ...], int] = {}
    tagged: dict[str, int] = {}
    for (name, region), count in rows.items():
        entry = TYPES[name]
        for above in _chain(entry):
            key = (above.list, repr(sorted(above.params.items())), region)
            calls[key] = max(calls.get(key, 0), _lists(above, region, known))
        for detail in entry.details if count else ():
            key = (detail.operation, detail.params if detail.batch == 0 else entry.arm, region)
            calls[key] = calls.get(key, 0) + (1 if detail.batch == 0 else math.ceil(count / detail.batch))
        if entry.tags == TAGGING and count:
            answers = region or (AMERICA if entry.answers_in == HOME else entry.answers_in)
            tagged[answers] = tagged.get(answers, 0) + count
    sweeps = sum(math.ceil(count / TAGS_PER_CALL) for count in tagged.values())
    return SESSION + REGIONS + sum(calls.values()) + sweeps


def _chain(entry: AwsType) -> Iterable[AwsType]:
    """The type and its parents, without those that lie inside their parent's rows."""
    while True:
        if entry.list:
            yield entry
        if entry.parent is None:
            return
        entry = entry.parent.type


def _lists(entry: AwsType, region: str, rows: Mapping[Place, int]) -> int:
    """Calls of one type's list in one region."""
    count = rows.get((entry.arm, region), 0)
    if entry.parent is not None:
        return rows.get((entry.parent.type.arm, region), 0)
    paging = operation(entry.list).paging
    size = paging.size if paging is not None and paging.limit is not None else 0
    return max(1, math.ceil(count / size)) if size else 1
