"""Requests for a role for a time, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.portal.pages.access.mapped import Role
from isthmus.portal.pages.access.reading import Book, labelled, named, request_path
from isthmus.portal.principals import Principal

PENDING = "Pending"
STATES = (PENDING, "Approved", "Denied", "Withdrawn", "Expired")
_SAID = {
    "approve": "approved",
    "deny": "denied",
    "withdraw": "withdrew",
    "acknowledge": "looked at it",
    "void": "approved, which counts no more",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What one person did with a request. `by` is their object id, `said` is in words (`approved`), `reason` may be empty."""

    by: str
    who: str
    what: str
    said: str
    at: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request. `label` names the role as the command line does, empty when the role is gone; instants are ISO 8601 or empty.
    `grant_state` is Active, Expired or Ended, empty without a grant; `ending` says why one ended before its time."""

    id: str
    role: Role
    label: str
    account: str
    who: Principal
    reason: str
    minutes: float
    is_break_glass: bool
    state: str
    asked: str
    expires: str
    approvals: int
    needed: int | None
    grant: str
    grant_state: str
    grant_ends: str
    ending: str
    acknowledged: str
    decisions: tuple[Decided, ...]
    is_mine: bool
    to: str

    @property
    def is_pending(self) -> bool:
        """Whether it waits for somebody."""
        return self.state == PENDING

    @property
    def is_over(self) -> bool:
        """Whether it was approved, and what came of it has ended."""
        return self.grant_state in ("Expired", "Ended")

    @property
    def missing(self) -> int:
        """How many more people have to approve."""
        return max(0, (self.needed or 0) - self.approvals)

    @property
    def approved_by(self) -> tuple[Decided, ...]:
        """Whose approvals count, the first first."""
        return tuple(one for one in self.decisions if one.what == "approve")

    @property
    def needs_a_look(self) -> bool:
        """Whether a glass was broken that no owner has looked at yet."""
        return self.is_break_glass and self.state == "Approved" and not self.acknowledged


def asked_of(body: Mapping[str, Any], book: Book, me: str) -> Asked:
    """A request from its resource; `me` is the visitor's object id."""
    told = body["properties"]
    return Asked(
        id=body["name"],
        role=labelled(book.role(told["mapping"]), told["role"]),
        label=told["role"] or "",
        account=told["accountId"] or "",
        who=named(book.principals.find(told["person"], "User"), told["personName"]),
        reason=told["reason"],
        minutes=told["seconds"] / 60,
        is_break_glass=told["breakGlass"],
        state=told["state"],
        asked=told["askedAt"],
        expires=told["expiresAt"],
        approvals=told["approvals"],
        needed=told["approvalsNeeded"],
        grant=told["grant"] or "",
        grant_state=told["grantState"] or "",
        grant_ends=told["grantEndsAt"] or "",
        ending=told["grantEnding"] or "",
        acknowledged=told["acknowledgedAt"] or "",
        decisions=tuple(_decided(one) for one in told["decisions"]),
        is_mine=told["person"].lower() == me.lower(),
        to=request_path(body["name"]),
    )


def _decided(told: Mapping[str, Any]) -> Decided:
    what = "void" if told["void"] else told["action"]
    said = _SAID.get(what, what)
    return Decided(by=told["by"], who=told["name"] or told["by"], what=what, said=said, at=told["at"], reason=told["reason"])
