"""The server without HTTP: a request of a known caller goes in, an answer comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from scim2_models import InvalidFilterException, InvalidValueException, SCIMException
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService
from sqlalchemy import Connection

from isthmus.access.scim import body, dialect
from isthmus.access.scim.departures import Departed
from isthmus.access.scim.door import Answered, Asked
from isthmus.access.scim.members import is_about_members, member_changes
from isthmus.access.scim.storage import DirectoryStorage
from isthmus.access.scim.vocabulary import vocabulary
from isthmus.arm.types import Actor
from isthmus.engine import Engine

_WRITES = frozenset({Operation.create, Operation.replace, Operation.patch, Operation.delete})
_LONGEST_FILTER = 2048
_LONGEST_NUMBER = 9


class ScimServer:
    """Users and groups of the directory. `departed` is told who lost what, in the transaction in which they lost it."""

    def __init__(self, engine: Engine, departed: Departed | None = None) -> None:
        self._engine = engine
        self._departed = departed or _tell_nobody
        self._service = ScimService(vocabulary())

    def answer(self, asked: Asked, actor: Actor) -> Answered:
        """See `door.Scim`."""
        request = ScimRequest(
            method=asked.method, base_url=asked.base_url, path=asked.path, query=asked.query, headers=asked.headers, body=asked.body
        )
        code = ""
        try:
            response = self._respond(request, actor)
        except SCIMException as error:
            code = error.scim_type or type(error).__name__.removesuffix("Exception")
            response = self._service.error_response(error)
        return Answered(status=response.status, body=response.body, headers=response.headers, code=code)

    def _respond(self, request: ScimRequest, actor: Actor) -> ScimResponse:
        target = self._service.match(request)
        asked = self._read(request, target)
        is_patch = target.operation is Operation.patch and _is_groups(target)
        storage = DirectoryStorage(
            engine=self._engine,
            provider=self._service.provider,
            actor=actor,
            departed=self._departed,
            writes=target.operation in _WRITES,
            leaves_members=target.operation is Operation.delete or (is_patch and not is_about_members(asked)),
        )
        wanted = member_changes(asked) if is_patch and not _wants_answer(request.query) else None
        if wanted is not None and target.resource_id is not None:
            return self._change_members(storage, request, target.resource_id, wanted)
        changed = replace(request, query=_query(request.query), body=orjson.dumps(asked) if asked else b"")
        return ScimHandler(self._service, storage).handle(changed)

    def _read(self, request: ScimRequest, target: Target) -> dict[str, Any]:
        """The body in the words of the RFC; empty for requests that have none."""
        if request.method not in ("POST", "PUT", "PATCH"):
            return {}
        self._service.ensure_json(request.header("Content-Type"))
        given = body.read(request.body)
        if target.operation is Operation.search_with_body:
            return _query(given)
        return dialect.patch(given) if target.operation is Operation.patch else dialect.resource(given)

    def _change_members(self, storage: DirectoryStorage, request: ScimRequest, group: str, wanted: Mapping[str, bool]) -> ScimResponse:
        with storage.operation():
            version = storage.change_members(group, wanted, self._service.read_conditions(request))
        return ScimResponse(HTTPStatus.NO_CONTENT, None, {"ETag": version})


def _is_groups(target: Target) -> bool:
    return str(target.endpoint).lower() == "groups"


def _query(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a search, whose filter is in the words of the RFC and not too long to be one."""
    asked = dict(given)
    for name, value in given.items():
        if name.lower() == "filter" and isinstance(value, str):
            if len(value) > _LONGEST_FILTER:
                raise InvalidFilterException(detail=f"A filter has at most {_LONGEST_FILTER} characters.")
            if not body.quotes_storable(value):
                raise InvalidFilterException(detail="The filter holds a character that no value has, because it cannot be stored.")
            asked[name] = dialect.expression(value)
        elif name.lower() in ("startindex", "count") and len(str(value)) > _LONGEST_NUMBER:
            raise InvalidValueException(detail=f"{name} has at most {_LONGEST_NUMBER} digits.")
    return asked


def _wants_answer(query: Mapping[str, str]) -> bool:
    return bool({"attributes", "excludedattributes"} & {name.lower() for name in query})


def _tell_nobody(_connection: Connection, _object_id: str, _groups: frozenset[str]) -> None:
    """Nobody has anything to take away yet."""
