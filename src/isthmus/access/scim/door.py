"""What a face says to the server and hears from it, in words of ours: the protocol's library is loaded at the first request.

Its models take more than a second to make, and most starts of a program are not for a directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol, cast

from isthmus.access.scim.departures import Departed
from isthmus.arm.types import Actor
from isthmus.engine import Engine

MEDIA_TYPE = "application/scim+json"
_VERBS = {"GET": "read", "HEAD": "read", "DELETE": "delete"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request; `path` is relative to `base_url`, the root of the endpoints as the client sees it."""

    method: str
    base_url: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An answer; `code` is why a request was refused, with nothing changed, and empty otherwise."""

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""


class Server(Protocol):
    """What `server.py` has."""

    def answer(self, asked: Asked, actor: Actor) -> Answered:
        """Answer one request of somebody who may make it."""
        ...


class Scim:
    """Users and groups of the directory. `departed` is told who lost what, in the transaction in which they lost it."""

    def __init__(self, engine: Engine, departed: Departed | None = None) -> None:
        self._engine, self._departed = engine, departed

    @cached_property
    def _server(self) -> Server:
        return cast("Server", import_module("isthmus.access.scim.server").ScimServer(self._engine, self._departed))

    def answer(self, asked: Asked, actor: Actor) -> Answered:
        """Answer one request of somebody who may make it; what is refused changed nothing."""
        return self._server.answer(asked, actor)


def action_of(method: str, path: str) -> str:
    """The right that a request needs; the path is relative to the root."""
    kind = "groups" if path.strip("/").partition("/")[0].lower() == "groups" else "users"
    verb = "read" if path.rstrip("/").endswith("/.search") else _VERBS.get(method, "write")
    return f"Isthmus.Directory/{kind}/{verb}"
