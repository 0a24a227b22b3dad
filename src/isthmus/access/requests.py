"""Just in time access: a person asks for a role for a time, others decide, and a grant begins that ends by itself.

`judging` decides, `request_rows` keeps; here both meet what has to be asked elsewhere. Every step is audited in its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from isthmus.access import grants, judging, request_rows, rights
from isthmus.access.broker import BROKER, REVOKED, Broker, refused
from isthmus.access.groups import GroupsUnknown
from isthmus.access.holding import hold_mapping
from isthmus.access.judging import APPROVED, DECIDED_WITHIN, PENDING, REQUESTS, Decided, Decider, Request
from isthmus.access.mappings import BROKER as BY_BROKER
from isthmus.access.mappings import RoleMapping
from isthmus.access.request_rows import Seen
from isthmus.access.revocations import hold_person, is_revoked, was_revoked
from isthmus.access.stored import mappings_of_keys
from isthmus.access.webhook import Webhook
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError, conflict
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.identity import evidence
from isthmus.identity.evidence import SignedIn
from isthmus.work import Timetable

_log = structlog.get_logger("isthmus.access")
_BATCH: Final = 200

MINE, OTHERS = "mine", "others"
Owns = Callable[[str], bool]
"""Whether the caller is an owner at a scope."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What somebody asks for."""

    reason: str
    seconds: int
    is_break_glass: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Which requests somebody wants to see: `mine`, those of `others` that they could decide, or both (empty), of one state or of any.
    With `everything` they may see all there are; `after` is where the page before ended."""

    whose: str = ""
    state: str = ""
    everything: bool = False
    after: str = ""
    limit: int


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Everything that is done with requests. `count_glass` is called for every glass that was broken; `webhook` tells people elsewhere;
    `still_owns` tells whether somebody (object id) is an owner at a scope."""

    engine: Engine
    broker: Broker
    count_glass: Callable[[], None]
    webhook: Webhook | None = None
    still_owns: Callable[[Connection, str, str], bool] = rights.owns

    def timetable(self) -> Timetable:
        """Each minute: what nobody decided in time."""
        return Timetable(name="requests", cron="20 * * * * *", run=self.expire)

    def ask(self, mapping: RoleMapping, actor: Actor, wanted: Wanted, owns: Owns) -> Request:
        """Ask for a role. ArmError: 400 `TooLong`; 409 `RequestNotNeeded`, `AlreadyAsked`, `RoleChanged`; else the step that refuses
        the person the role (`SignInNeeded`, `NotAMember`, …)."""
        known = self.broker.know(mapping, actor, asks_directory=not wanted.is_break_glass)
        glass = wanted.is_break_glass
        refusal = judging.check_glass(known, is_owner=owns(mapping.connector)) if glass else judging.check_wanted(known)
        if refusal is not None:
            raise refused(refusal, mapping)
        assert known.person is not None
        judging.check_length(mapping, wanted.seconds, is_break_glass=glass)
        now = self.engine.now()
        made = Request(
            id=self.engine.new_guid(),
            mapping=mapping.key,
            person=actor.id.lower(),
            name=known.person.name,
            sign_in=known.person.id,
            reason=wanted.reason,
            seconds=wanted.seconds,
            is_break_glass=glass,
            asked_at=now,
            expires_at=now + DECIDED_WITHIN,
        )
        with self.engine.store.begin() as connection:
            self._hold(connection, mapping)
            hold_person(connection, made.person)
            if is_revoked(connection, made.person):
                raise refused(REVOKED, mapping)
            if waits := request_rows.find_waiting(connection, mapping.key, made.person, now, is_break_glass=glass):
                what = f"You have asked for {mapping.label} already, and nobody has decided yet. To ask anew, withdraw that request: "
                raise conflict(f"{what}isthmus access withdraw {waits}", code="AlreadyAsked", target=f"/providers/{REQUESTS}/{waits}")
            request_rows.add(connection, made)
            self._record(connection, made, actor, "request", {"reason": wanted.reason, "seconds": wanted.seconds})
        if glass:
            _log.warning("somebody asks to break the glass", request=made.id, role=mapping.label, person=made.person)
        return made

    def approve(self, id: str, actor: Actor, owns: Owns, words: str = "", seen: str = "") -> Request:
        """Approve once; the last approval that is needed begins the grant. `seen` is the mark that the request must still have.

        ArmError: 412 `RequestChanged`; 404 `RequestNotFound`, `RoleNotFound`; 403 `CannotDecideOwn`, `NotAnApprover`; 401, 503 about the
        sign-in of the approver; 409 `RequestDecided`, `AlreadyApproved`, `RequesterRevoked`, `RoleChanged`; 400 `TooLong`.
        """
        request = self.find(id)
        mapping = self.broker.mapping(request.mapping)
        decider = self._decider(request, mapping, actor, owns)
        now = self.engine.now()
        with self.engine.store.begin() as connection:
            self._hold(connection, mapping)
            hold_person(connection, request.person)
            held = _held(connection, id)
            judging.check_seen(held, seen)
            held = self._counted(connection, held)
            if is_revoked(connection, actor.id):
                raise refused(REVOKED, mapping)
            made = judging.approve(held, mapping, decider, now, grant=self.broker.new_id(), words=words)
            if is_revoked(connection, request.person):
                what = "Everything was taken away from who made this request, so that nothing can be given to them."
                raise conflict(what, code="RequesterRevoked", target=request.path)
            if made.state == APPROVED:
                grants.add(connection, _grant_of(made, mapping, now))
            request_rows.save(connection, made)
            void = sorted({one.by for one in made.decisions if one.is_void} - made.approvers)
            counted = {"approvals": len(made.approvers), "needed": judging.needed(made, mapping), **({"void": void} if void else {})}
            self._record(connection, made, actor, "approve", {**counted, **({"grant": made.grant} if made.grant else {})})
        if made.is_break_glass and made.grant:
            self.count_glass()
            who = {"person": made.person, "approvers": sorted(made.approvers)}
            _log.critical("the glass is broken", request=made.id, role=mapping.label, grant=made.grant, seconds=made.seconds, **who)
        return made

    def deny(self, id: str, actor: Actor, owns: Owns, words: str, seen: str = "") -> Request:
        """Deny; one approver is enough. ArmError as for `approve`."""
        request = self.find(id)
        mapping = self.broker.mapping(request.mapping)
        decider = self._decider(request, mapping, actor, owns)
        return self._change(id, actor, "deny", lambda held, now: judging.deny(held, mapping, decider, now, words), {"reason": words}, seen)

    def withdraw(self, id: str, actor: Actor, seen: str = "") -> Request:
        """Take one's own request back. ArmError 404 `RequestNotFound`, 403 `NotYourRequest`, 409 `RequestDecided`, 412 `RequestChanged`."""
        return self._change(id, actor, "withdraw", lambda held, now: judging.withdraw(held, _named(actor), now), seen=seen)

    def acknowledge(self, id: str, actor: Actor, owns: Owns, words: str = "") -> Request:
        """Say, as an owner, that a broken glass was looked at. ArmError 404 `RequestNotFound`, 401 `SignInNeeded`, else see
        `judging.acknowledge`."""
        refusal = None if self._signed_in(actor) else _unknown_human()
        who = _named(actor, may=owns(self.find(id).connector), refusal=refusal)
        more = {"words": words} if words else {}
        return self._change(id, actor, "acknowledge", lambda held, now: judging.acknowledge(held, who, now, words), more)

    def expire(self, _planned: datetime) -> None:
        """End what nobody decided in time, each with an audit record; grants end by themselves."""
        late = _BATCH
        while late == _BATCH:
            with self.engine.store.begin() as connection:
                now = self.engine.now()
                found = request_rows.overdue(connection, now, _BATCH)
                for one in found:
                    over = judging.expire(one, now)
                    request_rows.save(connection, over)
                    self._record(connection, over, BROKER, "expire", {"person": one.person})
            late = len(found)

    def find(self, id: str) -> Request:
        """A request, with those approvals that count now. ArmError 404 `RequestNotFound`."""
        with self.engine.store.read() as connection:
            found = request_rows.find(connection, id)
            if found is None:
                raise _unknown(id)
            return self._counted(connection, found)

    def refusal(self, request: Request, actor: Actor, owns: Owns) -> ArmError | None:
        """Why the actor cannot decide about a request that waits; None when they can. Their directory is asked, as when they decide."""
        mapping = self.mappings({request.mapping}).get(request.mapping)
        if mapping is None:
            return ArmError("RoleNotFound", "The role that was asked for is gone.", status=404, target=request.mapping)
        try:
            judging.check_decider(request, mapping, self._decider(request, mapping, actor, owns))
        except ArmError as error:
            return error
        return None

    def holds(self, person: str) -> tuple[grants.Grant, ...]:
        """What a person holds now."""
        with self.engine.store.read() as connection:
            return grants.living(connection, person, self.engine.now())

    def visible(self, actor: Actor, owns: Owns, look: Look) -> tuple[tuple[Request, ...], str]:
        """The newest requests of the actor, and those that they could decide; and where the page ends, empty when nothing follows. While
        nobody can tell their groups, these are only such as owners decide; deciding says why."""
        now, state = self.engine.now(), look.state
        if look.whose != OTHERS and (look.everything or look.whose == MINE):
            seen = Seen(person=actor.id, everything=look.everything and look.whose != MINE)
            with self.engine.store.read() as connection:
                return request_rows.page(connection, seen, state=state, now=now, after=look.after, limit=look.limit)
        with self.engine.store.read() as connection:
            asked = request_rows.others(connection, actor.id, state, now)
        found = self.mappings({key for key, _ in asked})
        ordinary = [found[key] for key, is_break_glass in asked if not is_break_glass and key in found]
        mine = self._groups(actor, frozenset[str]().union(*(one.approver_groups for one in ordinary)))
        owners = {found[key].connector for key, is_break_glass in asked if is_break_glass and key in found}
        owned = {connector for connector in owners if owns(connector)} if owners and self._signed_in(actor) else set[str]()
        seen = Seen(
            person=actor.id,
            own=look.whose != OTHERS,
            decidable=[one.key for one in ordinary if one.approver_groups & mine],
            owned=[key for key, is_break_glass in asked if is_break_glass and key in found and found[key].connector in owned],
        )
        with self.engine.store.read() as connection:
            return request_rows.page(connection, seen, state=state, now=now, after=look.after, limit=look.limit)

    def given(self, requests: Collection[Request]) -> Mapping[str, grants.Grant]:
        """The grants that came of requests, by id."""
        with self.engine.store.read() as connection:
            return grants.of_ids(connection, {one.grant for one in requests if one.grant})

    def mappings(self, keys: Collection[str]) -> Mapping[str, RoleMapping]:
        """Those of the mappings that are still there, by key."""
        with self.engine.store.read() as connection:
            return mappings_of_keys(connection, keys, is_shown=True)

    def _counted(self, connection: Connection, request: Request) -> Request:
        """A request that waits, with those of its approvals that count: of whom nothing was taken since, and of a broken glass of who still
        owns the connector."""

        def lost(one: Decided) -> bool:
            if is_revoked(connection, one.by) or was_revoked(connection, one.by, one.at):
                return True
            return request.is_break_glass and not self.still_owns(connection, one.by, request.connector)

        return judging.void(request, lost) if request.state == PENDING else request

    def _decider(self, request: Request, mapping: RoleMapping, actor: Actor, owns: Owns) -> Decider:
        """Who wants to decide, with what has to be asked about them; directories outside of any transaction."""
        with self.engine.store.read() as connection:
            gone = is_revoked(connection, actor.id)
        person = self._signed_in(actor)
        refusal = refused(REVOKED, mapping) if gone else _unknown_human() if person is None else None
        if request.is_break_glass:
            return _named(actor, may=owns(request.connector), refusal=refusal)
        if refusal is not None or person is None:
            return _named(actor, refusal=refusal)
        if mapping.requires_mfa and "mfa" not in person.methods:
            what = f"{mapping.label} needs a second factor, of those who decide about it too. Sign in with one."
            return _named(actor, refusal=ArmError("SecondFactorNeeded", what, status=403, target=request.path))
        try:
            told = self.broker.groups.ask(person, mapping.approver_groups)
        except GroupsUnknown as error:
            return _named(actor, refusal=ArmError("GroupsUnknown", str(error), status=503))
        return _named(actor, may=told.is_active and bool(told.groups & mapping.approver_groups))

    def _groups(self, actor: Actor, asked: Collection[str]) -> frozenset[str]:
        person = self._signed_in(actor) if asked else None
        if person is None:
            return frozenset()
        try:
            told = self.broker.groups.ask(person, asked)
        except GroupsUnknown:
            return frozenset()
        return told.groups if told.is_active else frozenset()

    def _signed_in(self, actor: Actor) -> SignedIn | None:
        """The sign-in that the actor came by, while it lasts."""
        with self.engine.store.read() as connection:
            person = evidence.find(connection, actor.sign_in)
        is_theirs = person is not None and person.object_id.lower() == actor.id.lower() and person.ends_at > self.engine.now()
        return person if is_theirs else None

    def _change(
        self,
        id: str,
        actor: Actor,
        what: str,
        judge: Callable[[Request, int], Request],
        detail: Mapping[str, Any] | None = None,
        seen: str = "",
    ) -> Request:
        with self.engine.store.begin() as connection:
            held = _held(connection, id)
            judging.check_seen(held, seen)
            made = judge(held, self.engine.now())
            request_rows.save(connection, made)
            self._record(connection, made, actor, what, detail or {})
        return made

    def _hold(self, connection: Connection, mapping: RoleMapping) -> None:
        """Keep the mapping as it was decided upon. What a directory gives by itself is given by no request."""
        hold_mapping(connection, mapping)
        if mapping.federation != BY_BROKER:
            what = f"{mapping.label} is held by the directory's own sign-in now (federation {mapping.federation}); no request gives it."
            raise conflict(what, code="RoleChanged", target=mapping.id)

    def _record(self, connection: Connection, request: Request, actor: Actor, what: str, detail: Mapping[str, Any]) -> None:
        told = {"request": request.id, "mapping": request.mapping, **({"breakGlass": True} if request.is_break_glass else {}), **detail}
        jobs = (self.webhook.order(request, what, actor.name),) if self.webhook is not None else ()
        self.engine.apply_within(connection, Change(detail=told, jobs=jobs), actor, f"{REQUESTS}/{what}", request.path)


def _grant_of(request: Request, mapping: RoleMapping, now: int) -> grants.Grant:
    return grants.Grant(
        id=request.grant,
        mapping=mapping.key,
        connector=mapping.connector,
        person=request.person,
        name=request.name,
        because=f"request:{request.id}",
        is_break_glass=request.is_break_glass,
        began_at=now,
        ends_at=now + request.seconds * 1000,
        checked_at=now,
    )


def _held(connection: Connection, id: str) -> Request:
    found = request_rows.find(connection, id, holds=True)
    if found is None:
        raise _unknown(id)
    return found


def _named(actor: Actor, *, may: bool = False, refusal: ArmError | None = None) -> Decider:
    return Decider(id=actor.id, name=actor.name, is_person=actor.kind == "User", may=may, refusal=refusal)


def _unknown_human() -> ArmError:
    """Who came by a link is the administrator, as is everybody who does; they may be somebody who asked or approved already."""
    told = "Sign in with your directory first: 'isthmus login'. Who comes by a link decides nothing, for nobody knows which human that is."
    return ArmError("SignInNeeded", told, status=401)


def _unknown(id: str) -> ArmError:
    return ArmError("RequestNotFound", f"There is no request '{id[:64]}'. List them: isthmus access requests.", status=404, target=id[:64])
