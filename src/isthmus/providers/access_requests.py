"""Isthmus.Access: requests for a role for a time, what is decided about them, and the review of who holds what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from isthmus.access import judging
from isthmus.access.grants import Grant
from isthmus.access.group_names import GroupNames
from isthmus.access.judging import REQUESTS, STATES, Request
from isthmus.access.listing import is_place
from isthmus.access.mappings import RoleMapping
from isthmus.access.requests import MINE, OTHERS, Look, Owns, Requests, Wanted
from isthmus.access.review import Reviewed, count, review
from isthmus.arm import paging
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope, Window
from isthmus.engine import Engine
from isthmus.providers.bodies import Body, read
from isthmus.providers.held import show_grant
from isthmus.providers.history import VERSIONS

REVIEWS = "Isthmus.Access/reviews"
_TENANT = frozenset({Scope.TENANT})
_OWNING = "Microsoft.Authorization/roleAssignments/write"

Words = Annotated[str, Field(max_length=500)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class Asking(Body):
    """Body of `request` of a role."""

    reason: Reason
    seconds: Annotated[int, Field(ge=60)] = 3_600
    breakGlass: bool = False


class Denying(Body):
    """Body of `deny`."""

    reason: Reason


class Remark(Body):
    """Body of `approve` and `acknowledge`."""

    reason: Words = ""


@dataclass(frozen=True, kw_only=True)
class RequestTypes:
    """The rows about requests. They are open: each looks by itself at who asks."""

    engine: Engine
    requests: Requests
    named: Callable[[str], RoleMapping]
    group_names: GroupNames

    def rows(self) -> tuple[ResourceType, ...]:
        """Requests and reviews."""
        made = {"approve": self._approve, "deny": self._deny, "withdraw": self._withdraw, "acknowledge": self._acknowledge}
        actions = tuple(Action(name=name, act=_acting(act, self._shown), needs_resource=False, is_open=True) for name, act in made.items())
        return (
            ResourceType(
                name=REQUESTS,
                scopes=_TENANT,
                versions=VERSIONS,
                window=self._listed,
                read=self._one,
                is_open=True,
                opens_each=True,
                actions=actions,
            ),
            ResourceType(name=REVIEWS, scopes=_TENANT, versions=VERSIONS, window=self._reviews),
        )

    def action(self) -> Action:
        """`request`, an action of a role."""
        return Action(name="request", act=_acting(self._ask, self._shown), needs_resource=False, is_open=True)

    def _ask(self, ask: Ask) -> Request:
        asked = read(Asking, ask.body or {})
        wanted = Wanted(reason=asked.reason, seconds=asked.seconds, is_break_glass=asked.breakGlass)
        return self.requests.ask(self.named(ask.id.name), ask.actor, wanted, _owns(ask))

    def _approve(self, ask: Ask) -> Request:
        return self.requests.approve(ask.id.name, ask.actor, _owns(ask), read(Remark, ask.body or {}).reason, ask.match)

    def _deny(self, ask: Ask) -> Request:
        return self.requests.deny(ask.id.name, ask.actor, _owns(ask), read(Denying, ask.body or {}).reason, ask.match)

    def _withdraw(self, ask: Ask) -> Request:
        return self.requests.withdraw(ask.id.name, ask.actor, ask.match)

    def _acknowledge(self, ask: Ask) -> Request:
        return self.requests.acknowledge(ask.id.name, ask.actor, _owns(ask), read(Remark, ask.body or {}).reason)

    def _listed(self, ask: Ask) -> Window:
        found, after = self.requests.visible(ask.actor, _owns(ask), _look(ask))
        mappings, given = self.requests.mappings({one.mapping for one in found}), self.requests.given(found)
        now = self.engine.now()
        return Window(items=[show_request(one, mappings.get(one.mapping), given.get(one.grant), now) for one in found], after=after)

    def _one(self, ask: Ask) -> Mapping[str, Any]:
        """For who made it, who could decide it, and readers of the tenant; with what the role gives, what the person holds, and
        whether the caller decides."""
        request = self.requests.find(ask.id.name)
        refusal = self.requests.refusal(request, ask.actor, _owns(ask))
        if refusal is not None and request.person != ask.actor.id.lower() and not ask.permits(f"{REQUESTS}/read", "/"):
            what = "A request is shown to who made it, to who decides about it, and to readers of the tenant ('/')."
            raise ArmError("AuthorizationFailed", what, status=403, target=request.path)
        shown = self._shown(request)
        held = self.requests.holds(request.person)
        roles = self.requests.mappings({one.mapping for one in held})
        now = self.engine.now()
        mapping = self.requests.mappings({request.mapping}).get(request.mapping)
        more = {
            "gives": _gives(mapping, self.group_names) if mapping else None,
            "holds": [_held(show_grant(one, now), roles.get(one.mapping)) for one in held],
            "canDecide": refusal is None and shown["properties"]["state"] == judging.PENDING,
            "cannotBecause": refusal.message if refusal else None,
        }
        return {**shown, "properties": {**shown["properties"], **more}}

    def _shown(self, request: Request) -> Mapping[str, Any]:
        mapping = self.requests.mappings({request.mapping}).get(request.mapping)
        return show_request(request, mapping, self.requests.given([request]).get(request.grant), self.engine.now())

    def _reviews(self, ask: Ask) -> Window:
        skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
        with self.engine.store.read() as connection:
            found = review(connection, self.engine.now(), first=skip, most=top + 1)
            number = count(connection) if paging.wants_count(ask.query) else None
        mappings = self.requests.mappings({one.mapping for one in found[:top]})
        return Window(items=[_review(one, mappings.get(one.mapping)) for one in found[:top]], count=number, more=len(found) > top)


def _acting(act: Callable[[Ask], Request], show: Callable[[Request], Mapping[str, Any]]) -> Callable[[Resource | None, Ask], Answer]:
    return lambda _resource, ask: Answer(body=show(act(ask)))


def _owns(ask: Ask) -> Owns:
    return lambda scope: ask.permits(_OWNING, scope)


def _held(shown: Mapping[str, Any], mapping: RoleMapping | None) -> Mapping[str, Any]:
    """A grant with the label of its role, for those who may not read the mapping."""
    return {**shown, "properties": {**shown["properties"], "role": mapping.label if mapping else None}}


def _gives(mapping: RoleMapping, names: GroupNames) -> Mapping[str, Any]:
    """What would be held, and who decides about it: whoever decides need not be able to read the mapping."""
    return {
        "managedPolicyArns": list(mapping.managed_policies),
        "statements": list(mapping.statements),
        "machineTag": mapping.machine_tag,
        "approverGroups": sorted(mapping.approver_groups),
        "approverGroupNames": names(mapping.approver_groups),
    }


def _look(ask: Ask) -> Look:
    whose, after = ask.query.get("whose", "").lower(), paging.key_of(ask.query)
    if whose not in ("", MINE, OTHERS):
        raise invalid(f"whose must be {MINE} or {OTHERS}, not '{whose[:32]}'.", target="whose", code="InvalidFilter")
    if after and not is_place(after):
        raise invalid("The $skiptoken is not one of this list. Start it again.", target="$skiptoken", code="InvalidSkipToken")
    return Look(
        whose=whose,
        state=_state(ask.query.get("state", "")),
        everything=ask.permits(f"{REQUESTS}/read", "/"),
        after=after,
        limit=paging.page_size(ask.query),
    )


def _state(given: str) -> str:
    found = next((state for state in STATES if state.lower() == given.lower()), "")
    if given and not found:
        raise invalid(f"state must be one of {', '.join(STATES)}, not '{given[:32]}'.", target="state", code="InvalidState")
    return found


def show_request(request: Request, mapping: RoleMapping | None, given: Grant | None, now: int) -> Mapping[str, Any]:
    """A request as the API shows it, with how the grant stands that came of it; without its mapping when that is gone."""
    return {
        "id": request.path,
        "name": request.id,
        "type": REQUESTS,
        "etag": request.mark,
        "properties": {
            "role": mapping.label if mapping else None,
            "accountId": mapping.target.account if mapping else None,
            "mapping": request.mapping,
            "person": request.person,
            "personName": request.name,
            "reason": request.reason,
            "seconds": request.seconds,
            "breakGlass": request.is_break_glass,
            "state": request.state_at(now),
            "askedAt": instant(request.asked_at),
            "expiresAt": instant(request.expires_at),
            "approvals": len(request.approvers),
            "approvalsNeeded": judging.needed(request, mapping) if mapping else None,
            "grant": request.grant or None,
            "grantState": given.state(now) if given else None,
            "grantEndsAt": instant(given.ended_at or given.ends_at) if given else None,
            "grantEnding": (given.ending or None) if given else None,
            "acknowledgedAt": instant(request.acknowledged_at) if request.acknowledged_at else None,
            "decisions": [
                {"by": one.by, "name": one.name, "action": one.what, "at": instant(one.at), "reason": one.words, "void": one.is_void}
                for one in request.decisions
            ],
        },
    }


def _review(one: Reviewed, mapping: RoleMapping | None) -> Mapping[str, Any]:
    name = hashlib.sha256(f"{one.person}|{one.mapping}".encode()).hexdigest()[:32]
    times = {"livingUntil": one.living_until, "lastSession": one.last_session, "unusedSince": one.unused_since}
    return {
        "id": f"/providers/{REVIEWS}/{name}",
        "name": name,
        "type": REVIEWS,
        "properties": {
            "person": one.person,
            "personName": one.name,
            "role": mapping.label if mapping else None,
            "accountId": mapping.target.account if mapping else None,
            "mapping": one.mapping,
            "because": one.because,
            "firstGrant": instant(one.first_grant),
            "livingGrants": one.living,
            "sessions30Days": one.sessions_30,
            "sessions90Days": one.sessions_90,
            **{name: instant(at) if at else None for name, at in times.items()},
        },
    }
