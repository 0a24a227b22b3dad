"""A provisioned directory without HTTP: users and groups by short names, and what its hook was told."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

import orjson
from sqlalchemy import Connection

from isthmus.access.directory import DirectoryGroups
from isthmus.access.scim import Answered, Asked, Scim
from isthmus.arm.types import Actor
from isthmus.engine import Engine
from isthmus.store import Store
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ACTOR = Actor(id="directory", kind="Application")


def provision(store: Store, clock: Clock) -> Provisioned:
    """A directory with predictable ids."""
    numbers = itertools.count(1)
    return Provisioned(Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.UUID(int=next(numbers)))))


def filled(value: Any, ids: dict[str, str]) -> Any:
    """A body in which `{name}` stands for an id."""
    text = json.dumps(value)
    for name, id in ids.items():
        text = text.replace(f"{{{name}}}", id)
    return json.loads(text)


class RefusedError(Exception):
    """The code of a refusal."""


class Provisioned:
    """Ids by name; `told` is what the hook heard since it was last read: object id, groups, and whether the person is active."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.groups = DirectoryGroups()
        self.scim = Scim(engine, self._hear)
        self.ids: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self.breaks = False
        self._told: list[tuple[str, frozenset[str], bool | None]] = []

    def send(self, method: str, path: str, body: Any = None) -> Answered:
        """One request; RefusedError when it was refused."""
        path, _, query = path.partition("?")
        asked = dict(part.split("=", 1) for part in query.split("&")) if query else {}
        content = b"" if body is None else orjson.dumps(body)
        answered = self.scim.answer(Asked(method=method, base_url="https://here/scim/v2", path=path, query=asked, body=content), ACTOR)
        if answered.code:
            raise RefusedError(answered.code)
        return answered

    def user(self, name: str, **more: Any) -> str:
        """A new user's id."""
        return self._make("User", name, userName=name, **more)

    def group(self, name: str, *members: str, **more: Any) -> str:
        """A new group's id; members by name."""
        return self._make("Group", name, displayName=name, members=[{"value": self.ids[member]} for member in members], **more)

    def patch(self, name: str, *operations: dict[str, Any]) -> Answered:
        """Change a user or group."""
        return self.send("PATCH", self.path(name), {"schemas": [PATCH], "Operations": list(operations)})

    def join(self, group: str, *members: str) -> None:
        """Let members in."""
        self.patch(group, {"op": "add", "path": "members", "value": [{"value": self.ids[member]} for member in members]})

    def leave(self, group: str, *members: str) -> None:
        """Let members out, as Entra does without its flag."""
        self.patch(group, {"op": "Remove", "path": "members", "value": [{"value": self.ids[member]} for member in members]})

    def path(self, name: str) -> str:
        """Where somebody is."""
        return self._paths[name]

    def read(self, name: str) -> dict[str, Any]:
        """What is shown of somebody."""
        found = self.send("GET", self.path(name)).body
        assert found is not None
        return found

    def held(self, object_id: str, *asked: str) -> set[str]:
        """Groups of a person, among those asked."""
        with self.engine.store.read() as connection:
            return set(self.groups.groups_of(connection, object_id, asked))

    def told(self) -> list[tuple[str, frozenset[str], bool | None]]:
        """What the hook heard."""
        heard, self._told = self._told, []
        return sorted(heard, key=lambda one: json.dumps([one[0], sorted(one[1])]))

    def _hear(self, connection: Connection, object_id: str, groups: frozenset[str]) -> None:
        self._told.append((object_id, groups, self.groups.is_active(connection, object_id)))
        if self.breaks:
            raise RuntimeError("the hook broke")

    def _make(self, kind: str, name: str, **more: Any) -> str:
        made = self.send("POST", f"/{kind}s", {"schemas": [f"{SCHEMA}:{kind}"], **more})
        assert made.body is not None
        self.ids[name] = str(made.body["id"])
        self._paths[name] = f"/{kind}s/{self.ids[name]}"
        return self.ids[name]
