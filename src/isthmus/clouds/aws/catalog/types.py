"""What an AWS type is: one declarative record, from which scans, IAM statements, ARM types and docs derive.

Paths are JMESPath over AWS's own answers, spelt as AWS spells them (`SubnetId`, `clusterArn`). They are compiled once and cached; a path
that is one plain name costs a dictionary look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import jmespath

TAGGING: Final = "tagging"
"""Value of `AwsType.tags`: the list does not answer tags; the tagging API does, 100 resources per call."""

PARENT: Final = "Parent"
"""Member of a child's row that holds what its parent gave, e.g. `Parent.cluster`."""

HOME: Final = "home"
"""Value of `AwsType.answers_in`: the partition's own region for global services (us-east-1, cn-north-1, us-gov-west-1)."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """A call that completes rows of a list.

    `batch` is the number of rows that one call may ask for. With 1, `params` is evaluated on the row. With more, it is evaluated on the
    list of rows, and `key` pairs the answer's items with rows: (member of the row, member of the item). With 0 it is a sweep: one paged
    list without parameters of rows answers for all of them, paired by `key` as well.
    `items` is the path of what is learnt in the answer; it is laid over the row, or put into the row's member `into`.
    `none` are error codes that say "this resource has no such thing". `region` is the path, in the row, of the region that answers.
    """

    operation: str
    params: str = ""
    items: str = "@"
    into: str = ""
    batch: int = 1
    key: tuple[str, str] | None = None
    none: frozenset[str] = frozenset()
    region: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    """Where a child type's parameters come from: every row of `type`, by the path `params`, which answers a mapping.

    A child's row holds these parameters, and what the path `shows` answers, in its member `Parent`; nothing else of a parent's row is kept
    in memory. `region` is the path, in the parent's row, of the region that answers for the child (S3 buckets).
    """

    type: AwsType
    params: str = ""
    shows: str = ""
    region: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AwsType:
    """One AWS resource type of the inventory.

    `arm` is the type below `Microsoft.AwsConnector/`; `service` the key in `cloudProviderServiceTypes`; `cfn` the CloudFormation type,
    or None for a type in SDK shape, whose properties are AWS's own members and whose enums read `{"value": …}`.

    `list` is the operation that lists it (`service:Operation`), with the fixed `params` and, for a child, those of its `parent`; an empty
    `list` means that the rows lie inside the parent's rows. `items` is the path of the rows in each answer. Rows are objects: where AWS
    answers bare names, the path makes objects of them (`TableNames[].{TableName: @}`).

    `id` is unique within a cell and stable while the resource lives. `arn` is a path, or a template that starts with `arn:` and may use
    `{partition}`, `{region}`, `{account}` and paths in braces. `name` and `region` fall back to the id and to the cell's region.
    `tags` is the path of a tag list or map, or TAGGING; `tagging` is the tagging API's name of the type (`sqs:queue` or `sqs`).
    `answers_in` is the region that answers for the whole account; empty for types that are listed in every region.

    `keep` names, blank-separated, the members that become properties (all of them in SDK shape when empty); `renamed` adds properties by
    their final name from a path. `documents` are members that hold free-form JSON, as text or URL-encoded text: they are decoded and
    their keys are left alone. `adapt` is a plain function over the row for what no path can say.
    `volatile` are property paths that change without a change: stored, but not part of the digest. `secret` are row paths that are
    dropped before anything else sees the row. `none` are codes that say "there is none": the list is complete and empty.
    """

    arm: str
    service: str
    cfn: str | None = None
    list: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    items: str
    parent: Parent | None = None
    details: tuple[Detail, ...] = ()
    id: str
    arn: str
    name: str = ""
    tags: str = ""
    tagging: str = ""
    region: str = ""
    answers_in: str = ""
    keep: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[str, ...] = ()
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    volatile: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    none: frozenset[str] = frozenset()

    @property
    def is_global(self) -> bool:
        """Whether AWS lists it once per account."""
        return bool(self.answers_in)

    @property
    def operations(self) -> tuple[str, ...]:
        """Every operation that listing it needs, its parent's list included; the tagging API where it gives the tags."""
        own = [self.list] if self.list else []
        own += [detail.operation for detail in self.details]
        if self.parent:
            own += [operation for operation in self.parent.type.listing if operation not in own]
        if self.tags == TAGGING:
            own.append("resourcegroupstaggingapi:GetResources")
        return tuple(dict.fromkeys(own))

    @property
    def listing(self) -> tuple[str, ...]:
        """The list operations that a child of this type needs."""
        above = self.parent.type.listing if self.parent else ()
        return (self.list, *above) if self.list else above


@cache
def path(expression: str) -> Callable[[Any], Any]:
    """A reader for a JMESPath expression; None where the path leads nowhere. Raises jmespath's ParseError for a malformed one."""
    if _NAME.fullmatch(expression):
        return lambda value: value.get(expression) if isinstance(value, dict) else None
    compiled = jmespath.compile(expression)
    return lambda value: compiled.search(value)
