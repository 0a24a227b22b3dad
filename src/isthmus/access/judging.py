"""Requests for a role for a time: what they are, and who may do what with them. Pure: everything it looks at is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from isthmus.access.deciding import Approved, Known, Step, decide
from isthmus.access.mappings import REQUEST, STANDING, RoleMapping
from isthmus.arm.errors import ArmError, conflict, invalid

PENDING: Final = "Pending"
APPROVED, DENIED, WITHDRAWN, EXPIRED = "Approved", "Denied", "Withdrawn", "Expired"
STATES: Final = (PENDING, APPROVED, DENIED, WITHDRAWN, EXPIRED)
APPROVE, DENY, WITHDRAW, ACKNOWLEDGE = "approve", "deny", "withdraw", "acknowledge"

REQUESTS: Final = "Isthmus.Access/requests"
DECIDED_WITHIN: Final = 86_400_000
"""Milliseconds in which a request can be decided."""
GLASS_SECONDS: Final = 3_600
"""How long a broken glass gives a role at most."""
GLASS_APPROVALS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """One thing that somebody did with a request: who (object id, name), what (`approve`, …), when (ms), in which words, and the grant
    that came of it. An approval `is_void` when its approver has lost what it stood on."""

    by: str
    name: str
    what: str
    at: int
    words: str = ""
    grant: str = ""
    is_void: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A person asks for a role for `seconds`, beginning with its approval. Times in milliseconds."""

    id: str
    mapping: str
    person: str
    name: str
    sign_in: str
    reason: str
    seconds: int
    state: str = PENDING
    is_break_glass: bool = False
    asked_at: int
    expires_at: int
    decisions: tuple[Decided, ...] = ()
    acknowledged_at: int | None = None

    @property
    def path(self) -> str:
        """Its id as a resource."""
        return f"/providers/{REQUESTS}/{self.id}"

    @property
    def connector(self) -> str:
        """The key of the connector of the role's account."""
        return self.mapping.partition("/providers/isthmus.access/")[0]

    @property
    def approvers(self) -> frozenset[str]:
        """Whose approvals count, each once."""
        return frozenset(one.by for one in self.decisions if one.what == APPROVE and not one.is_void)

    @property
    def grant(self) -> str:
        """The grant that came of it; empty where none did."""
        return next((one.grant for one in self.decisions if one.grant), "")

    @property
    def mark(self) -> str:
        """Another one after everything that was done with it: its ETag."""
        what = "|".join((self.state, *(f"{one.by}:{one.what}:{one.at}" for one in self.decisions)))
        return hashlib.sha256(what.encode()).hexdigest()[:32]

    def state_at(self, now: int) -> str:
        """Its state, when nobody has noted yet that its time is over too."""
        return EXPIRED if self.state == PENDING and self.expires_at <= now else self.state


@dataclass(frozen=True, kw_only=True, slots=True)
class Decider:
    """Somebody who wants to decide. `may` says that they are an approver of the role (of a broken glass: an owner of the connector);
    `refusal` is what was found out first otherwise (no sign-in, a directory that does not answer)."""

    id: str
    name: str
    is_person: bool = True
    may: bool = False
    refusal: ArmError | None = None


def needed(request: Request, mapping: RoleMapping) -> int:
    """How many different people have to approve."""
    return GLASS_APPROVALS if request.is_break_glass else mapping.approvals


def longest(mapping: RoleMapping, *, is_break_glass: bool) -> int:
    """For how many seconds the role can be asked for."""
    return min(GLASS_SECONDS, mapping.longest_seconds) if is_break_glass else mapping.longest_seconds


def check_length(mapping: RoleMapping, seconds: int, *, is_break_glass: bool) -> None:
    """Raises ArmError 400 `TooLong`."""
    most = longest(mapping, is_break_glass=is_break_glass)
    if seconds > most:
        what = "breaking the glass gives it for" if is_break_glass else "it is given for"
        raise invalid(f"{mapping.label} cannot be held for {seconds} seconds: {what} {most} at most.", target="seconds", code="TooLong")


def check_wanted(known: Known) -> Step | None:
    """Why the person may not ask for the role; None when they may. What they hold already does not matter: that is how it is extended.

    Raises ArmError 409 `RequestNotNeeded` for a role that is taken without a request.
    """
    mapping = known.mapping
    refusal = decide(replace(known, approved=())).refusal
    if mapping.activation != REQUEST and refusal is None:
        what = f"{mapping.label} needs no request: it can be taken at once."
        raise conflict(what, code="RequestNotNeeded", target=mapping.id)
    return None if refusal is not None and refusal.code == "RequestNeeded" else refusal


def check_glass(known: Known, *, is_owner: bool) -> Step | None:
    """Why the person may not ask to break the glass; None when they may: an owner, or who the sign-in says is meant by the role."""
    broken = Approved(grant="", ends_at=known.now + 1, is_break_glass=True)
    refusal = decide(replace(known, approved=(broken,))).refusal
    if refusal is not None or is_owner:
        return refusal
    return decide(replace(known, approved=(), mapping=replace(known.mapping, activation=STANDING))).refusal


def check_decider(request: Request, mapping: RoleMapping, decider: Decider) -> None:
    """Raises ArmError 403 `CannotDecideOwn` or `NotAnApprover`, or what was found out about the decider before."""
    if decider.id.lower() == request.person:
        raise ArmError("CannotDecideOwn", "This is your own request; somebody else has to decide it.", status=403, target=request.path)
    if request.is_break_glass:
        what = f"{GLASS_APPROVALS} people who own the connector of {mapping.label} (role Owner at its scope or above) decide this."
    else:
        what = f"The members of these groups decide about {mapping.label}: {', '.join(sorted(mapping.approver_groups))}."
    if decider.is_person and decider.refusal is not None:
        raise decider.refusal
    if not decider.is_person:
        raise ArmError("NotAnApprover", f"Only people decide; an application cannot. {what}", status=403, target=request.path)
    if not decider.may:
        raise ArmError("NotAnApprover", f"You are not one of those who decide this. {what}", status=403, target=request.path)


def approve(request: Request, mapping: RoleMapping, decider: Decider, now: int, *, grant: str, words: str = "") -> Request:
    """The request with one more approval; Approved, with the id `grant` for what comes of it, when that is enough.

    Raises ArmError: see `check_decider`; 409 `RequestDecided`, `AlreadyApproved`; 400 `TooLong` when the role is not given for so long
    any more.
    """
    check_decider(request, mapping, decider)
    _require_pending(request, now)
    if decider.id.lower() in request.approvers:
        raise conflict("You have approved this request already; each approver counts once.", code="AlreadyApproved", target=request.path)
    check_length(mapping, request.seconds, is_break_glass=request.is_break_glass)
    if len(request.approvers) + 1 < needed(request, mapping):
        return _decided(request, decider, APPROVE, now, words)
    return replace(_decided(request, decider, APPROVE, now, words, grant), state=APPROVED)


def void(request: Request, lost: Callable[[Decided], bool]) -> Request:
    """The request, without the approvals whose approver has `lost` what they stood on."""
    kept = (replace(one, is_void=True) if one.what == APPROVE and not one.is_void and lost(one) else one for one in request.decisions)
    return replace(request, decisions=tuple(kept))


def check_seen(request: Request, mark: str) -> None:
    """Raises ArmError 412 `RequestChanged`, which says what happened, when something was done since its mark was `mark` (empty: any)."""
    if not mark or mark in ("*", request.mark):
        return
    last = request.decisions[-1] if request.decisions else None
    what = f"{last.name or last.by}: {last.what}" if last else f"it is {request.state}"
    told = f"Something was done with this request since you read it ({what}). Look at it again, then decide."
    raise ArmError("RequestChanged", told, status=412, target=request.path)


def deny(request: Request, mapping: RoleMapping, decider: Decider, now: int, words: str) -> Request:
    """The request, denied: one approver is enough. Raises ArmError: see `check_decider`; 409 `RequestDecided`."""
    check_decider(request, mapping, decider)
    _require_pending(request, now)
    return replace(_decided(request, decider, DENY, now, words), state=DENIED)


def withdraw(request: Request, who: Decider, now: int) -> Request:
    """The request, withdrawn by who made it. Raises ArmError 403 `NotYourRequest`, 409 `RequestDecided`."""
    if who.id.lower() != request.person:
        raise ArmError("NotYourRequest", "Only who made a request withdraws it; approvers deny it.", status=403, target=request.path)
    if request.state == APPROVED:
        told = f"This request is {APPROVED} already, and its grant may live. End that: isthmus access end {request.grant}"
        raise conflict(told, code="RequestDecided", target=request.path)
    _require_pending(request, now)
    return replace(_decided(request, who, WITHDRAW, now), state=WITHDRAWN)


def take_back(request: Request, who: Decider, now: int, words: str) -> Request:
    """The request, withdrawn because everything was taken away from who made it."""
    return replace(_decided(request, who, WITHDRAW, now, words), state=WITHDRAWN)


def acknowledge(request: Request, who: Decider, now: int, words: str = "") -> Request:
    """The broken glass, looked at by an owner who did not break it. Raises ArmError 403 `CannotDecideOwn`, `NotAnOwner`,
    409 `NothingToAcknowledge`."""
    if who.id.lower() == request.person:
        raise ArmError("CannotDecideOwn", "You broke this glass; another owner has to look at it.", status=403, target=request.path)
    if who.is_person and who.refusal is not None:
        raise who.refusal
    if not (who.may and who.is_person):
        raise ArmError(
            "NotAnOwner", "Only people who own the connector acknowledge that its glass was broken.", status=403, target=request.path
        )
    if not request.is_break_glass or request.state != APPROVED or request.acknowledged_at is not None:
        raise conflict("There is no broken glass here that waits to be acknowledged.", code="NothingToAcknowledge", target=request.path)
    return replace(_decided(request, who, ACKNOWLEDGE, now, words), acknowledged_at=now)


def expire(request: Request, now: int) -> Request:
    """The request, when nobody decided it in time; itself otherwise."""
    return replace(request, state=request.state_at(now))


def _require_pending(request: Request, now: int) -> None:
    state = request.state_at(now)
    if state != PENDING:
        what = f"This request is {state} already." if state != EXPIRED else "This request was not decided in time. It has to be made again."
        raise conflict(what, code="RequestDecided", target=request.path)


def _decided(request: Request, who: Decider, what: str, now: int, words: str = "", grant: str = "") -> Request:
    made = Decided(by=who.id.lower(), name=who.name, what=what, at=now, words=words, grant=grant)
    return replace(request, decisions=(*request.decisions, made))
