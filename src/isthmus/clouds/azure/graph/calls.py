"""The calls. Each names the page of Microsoft's reference that it follows; none was tried against a real tenant yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from isthmus.clouds.azure.graph.answers import Changes, Subscription, User, changes_of, guid, subscription_of, user_of, values
from isthmus.clouds.azure.graph.caller import PATIENCE, Caller
from isthmus.clouds.azure.graph.faults import GraphFault

PER_CALL = 20
"""Groups that one question about memberships may name."""
PER_FILTER = 15
"""Values that `in` takes in a filter."""
PER_CURSOR = 50
"""Groups that one delta query may be limited to."""
LONG = 30.0
"""Seconds for a call where nobody waits."""


class Graph:
    """Typed calls. All may raise GraphUnavailable, GraphRefused and GraphFault; ids are GUIDs and compared in lower case.

    `issuer` is what ID tokens of its tenant name: of whom they speak, it can be asked.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.issuer = caller.place.issuer

    def close(self) -> None:
        """Give the connections back."""
        self._caller.close()

    def user(self, id: str, *, patience: float = PATIENCE) -> User | None:
        """Whether a user is there and enabled (Get user); None when there is none."""
        if not guid(id):
            return None
        answer = self._caller.call("user", "GET", f"/v1.0/users/{id}?$select=id,accountEnabled", patience=patience)
        if answer is None:
            return None
        found = user_of(answer)
        if found is None or found.id != id.lower():
            raise GraphFault("Graph did not tell whether the user is enabled. Give the application User.Read.All.")
        return found

    def member_groups(self, user: str, groups: Collection[str], *, patience: float = PATIENCE) -> frozenset[str] | None:
        """Those of the groups that a user is in, nested ones included (directoryObject: checkMemberGroups); None without such a user.

        What is no id of Entra's is not asked for: nobody is in it. A group in several spellings is answered in each.
        """
        by_id = defaultdict[str, set[str]](set)
        for group in groups:
            if id := guid(group):
                by_id[id].add(group)
        wanted, found = sorted(by_id), set[str]()
        for start in range(0, len(wanted), PER_CALL):
            part = wanted[start : start + PER_CALL]
            path = f"/v1.0/users/{quote(user, safe='')}/checkMemberGroups"
            answer = self._caller.call("checkMemberGroups", "POST", path, {"groupIds": part}, patience=patience)
            if answer is None:
                return None
            told = answer.get("value")
            if not isinstance(told, list):
                raise GraphFault("Graph did not tell in which groups the user is.")
            found.update(*(by_id.get(guid(one), ()) for one in told))
        return frozenset(found)

    def group_names(self, groups: Collection[str], *, patience: float = PATIENCE) -> Mapping[str, str]:
        """What groups are called (List groups), by id; without those that are not there."""
        wanted, found = sorted({id for group in groups if (id := guid(group))}), dict[str, str]()
        for start in range(0, len(wanted), PER_FILTER):
            chosen = ",".join(f"'{id}'" for id in wanted[start : start + PER_FILTER])
            path = f"/v1.0/groups?$select=id,displayName&$filter={quote(f'id in ({chosen})')}"
            for row in values(self._caller.call("groups", "GET", path, patience=patience) or {}):
                if isinstance(name := row.get("displayName"), str):
                    found[guid(row.get("id"))] = name
        return found

    def nested_groups(self, group: str) -> frozenset[str]:
        """Groups that are in a group at any depth (List group transitive members); none when there is no such group."""
        path = f"/v1.0/groups/{quote(group, safe='')}/transitiveMembers/microsoft.graph.group?$select=id&$top=999"
        first = self._caller.call("transitiveMembers", "GET", path, patience=LONG)
        found = {guid(row.get("id")) for row in values(first or {})}
        following = (first or {}).get("@odata.nextLink")
        for page in self._caller.pages("transitiveMembers", self._caller.followed(following), patience=LONG) if following else ():
            found |= {guid(row.get("id")) for row in values(page)}
        return frozenset(found - {""})

    def changed_users(self, link: str = "") -> Changes:
        """Users that were changed, disabled or deleted since `link` (user: delta). Without one nobody is told, only where to go on from:
        a tenant may have a million users. GraphGone when the link is too old."""
        return self._changes("users/delta", link or "/v1.0/users/delta?$deltatoken=latest&$select=accountEnabled")

    def changed_groups(self, groups: Collection[str], link: str = "") -> Changes:
        """Members that came into or left at most 50 groups since `link` (group: delta); without one, all members count as having come."""
        chosen = " or ".join(f"id eq '{id}'" for id in sorted(map(guid, groups)) if id)
        return self._changes("groups/delta", link or f"/v1.0/groups/delta?$select=members&$filter={quote(chosen)}")

    def _changes(self, name: str, target: str) -> Changes:
        found = changes_of(self._caller.pages(name, target, patience=LONG))
        if found is None:
            raise GraphFault("Graph's changes do not end with a link to go on from. They are asked for again.")
        self._caller.followed(found.link)
        return found

    def subscribe(self, resource: str, change_types: str, *, to: str, secret: str, until: int) -> Subscription:
        """Have changes of a resource told to a URL with `secret` until an instant in ms (Create subscription). Graph calls there first."""
        body = {
            "changeType": change_types,
            "notificationUrl": to,
            "lifecycleNotificationUrl": to,
            "resource": resource,
            "expirationDateTime": _text(until),
            "clientState": secret,
            "latestSupportedTlsVersion": "v1_2",
        }
        return _subscription(self._caller.call("subscribe", "POST", "/v1.0/subscriptions", body, patience=LONG, is_repeatable=False))

    def renew(self, id: str, until: int) -> Subscription | None:
        """Let it last longer (Update subscription), which also answers `reauthorizationRequired`; None when there is none any more."""
        body = {"expirationDateTime": _text(until)}
        answer = self._caller.call("renew", "PATCH", f"/v1.0/subscriptions/{quote(id, safe='')}", body, patience=LONG)
        return None if answer is None else _subscription(answer)

    def unsubscribe(self, id: str) -> None:
        """End it (Delete subscription); nothing when it has ended."""
        self._caller.call("unsubscribe", "DELETE", f"/v1.0/subscriptions/{quote(id, safe='')}", patience=LONG)

    def sign_ins(self, since: int, until: int, *, is_interactive: bool) -> Iterator[list[dict[str, Any]]]:
        """Sign-ins of a time (ms), oldest first, page after page (List signIns, beta: only there they name token and session)."""
        chosen = f"createdDateTime ge {_text(since)} and createdDateTime lt {_text(until)}"
        if not is_interactive:
            chosen += " and signInEventTypes/any(t: t eq 'nonInteractiveUser')"
        path = f"/beta/auditLogs/signIns?$filter={quote(chosen)}&$orderby={quote('createdDateTime asc')}&$top=500"
        for page in self._caller.pages("signIns", path, patience=LONG):
            yield list(values(page))


def _subscription(answer: Mapping[str, Any] | None) -> Subscription:
    found = subscription_of(answer or {})
    if found is None:
        raise GraphFault("Graph did not answer with a subscription.")
    return found


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
