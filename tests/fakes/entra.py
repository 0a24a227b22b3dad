"""A tenant of Entra as Graph tells of it: users, groups in groups, what changed since when, subscriptions, sign-ins.

Not validated against Microsoft: it was written from Microsoft's documentation, as was what it tests.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

TENANT, CLIENT = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-000000000001"


def guid(name: str) -> str:
    """The object id of somebody."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass
class Tenant:
    """Object ids throughout; `names` are those of groups that have one. `log` is what changed, in order: (kind, id, what); delta tokens are
    places in it."""

    users: dict[str, bool] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sign_ins: list[dict[str, Any]] = field(default_factory=list)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    forgotten: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def user(self, id: str, *, enabled: bool = True) -> str:
        with self.lock:
            self.users[id] = enabled
            self._changed("users", id, {"id": id, "accountEnabled": enabled}, "updated")
        return id

    def disable(self, id: str) -> None:
        self.user(id, enabled=False)

    def delete(self, id: str) -> None:
        with self.lock:
            del self.users[id]
            for group in [group for group, members in self.groups.items() if id in members]:
                self.leave(group, id)
            self._changed("users", id, {"id": id, "@removed": {"reason": "changed"}}, "deleted")

    def group(self, id: str, *members: str) -> str:
        with self.lock:
            self.groups[id] = set()
            self.join(id, *members)
        return id

    def join(self, group: str, *members: str) -> None:
        with self.lock:
            self.groups[group] |= set(members)
            for member in members:
                self._changed("groups", group, {"id": group, "members@delta": [self._member(member)]}, "updated", member)

    def leave(self, group: str, member: str) -> None:
        with self.lock:
            self.groups[group].discard(member)
            told = {**self._member(member), "@removed": {"reason": "deleted"}}
            self._changed("groups", group, {"id": group, "members@delta": [told]}, "updated", member)

    def held(self, user: str, asked: list[str]) -> list[str]:
        """Those of the asked groups that a user is in, through groups in groups too."""
        return [group for group in asked if user in self.below(group)]

    def below(self, group: str) -> set[str]:
        """Everything in a group, at any depth."""
        found: set[str] = set()
        edge = {group}
        while edge:
            below = {member for one in edge for member in self.groups.get(one, ())} - found
            found |= below
            edge = below & self.groups.keys()
        return found

    def forget(self) -> None:
        """Every delta token so far is too old from now on."""
        with self.lock:
            self.forgotten = len(self.log) + 1
            self.log.append(("nothing", "", {}))

    def subscribe(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            id = str(uuid.UUID(int=next(self._numbers)))
            self.subscriptions[id] = {**body, "id": id}
            return {name: value for name, value in self.subscriptions[id].items() if name != "clientState"}

    def tell_lifecycle(self, event: str, subscription: str) -> None:
        held = self.subscriptions[subscription]
        self._post(held, {"subscriptionId": subscription, "clientState": held["clientState"], "lifecycleEvent": event, "tenantId": TENANT})

    def _changed(self, kind: str, id: str, told: dict[str, Any], change: str, member: str = "") -> None:
        self.log.append((kind, id, told))
        wanted = ("/users", "users") if kind == "users" else (f"/groups/{id}/members", f"groups/{id}/members")
        for subscription, held in self.subscriptions.items():
            if held["resource"] not in wanted or change not in held["changeType"]:
                continue
            about = member or id
            data = {"@odata.type": "#Microsoft.Graph.User", "@odata.id": f"Users/{about}", "id": about}
            frame = {"subscriptionId": subscription, "clientState": held["clientState"], "changeType": change, "tenantId": TENANT}
            self._post(held, {**frame, "resource": f"Users/{about}", "resourceData": data})

    def _post(self, held: dict[str, Any], told: dict[str, Any]) -> None:
        self.notices.append((held["notificationUrl"], {"value": [told]}))

    def _member(self, id: str) -> dict[str, Any]:
        kind = "group" if id in self.groups else "user"
        return {"@odata.type": f"#microsoft.graph.{kind}", "id": id}
