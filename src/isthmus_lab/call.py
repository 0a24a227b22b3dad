"""The call in progress: who makes it, what it is, and what its handler tells the trail that the request itself does not say."""

import contextvars
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True, slots=True)
class Notes:
    """What a handler knows better than the request shows. Empty members leave the trail to what it reads itself.

    `identity` is CloudTrail's `userIdentity` of a caller without a key, `account` where such a call is recorded, `shared_with` a second
    account that gets the record. `parameters`, `elements` and `extra` are CloudTrail's `requestParameters`, `responseElements` and
    `additionalEventData`; `resources` are pairs of type and name.
    """

    account: str = ""
    shared_with: str = ""
    identity: Mapping[str, Any] | None = None
    parameters: Mapping[str, Any] | None = None
    elements: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    resources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One AWS call. `service` is ministack's name of it, `action` the IAM action name (`DescribeVpcs`), `key` the access key."""

    service: str = ""
    action: str = ""
    region: str = ""
    key: str = ""
    notes: Notes = field(default_factory=Notes)


_current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("current_call", default=None)


def begin(call: Call) -> contextvars.Token[Call | None]:
    """Make a call the one in progress, for this task and what it starts."""
    return _current.set(call)


def end(token: contextvars.Token[Call | None]) -> None:
    """Undo `begin`."""
    _current.reset(token)


def current() -> Call:
    """The call in progress. Work without one gets an empty one, whose notes nobody reads."""
    return _current.get() or Call()
