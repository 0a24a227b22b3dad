"""Who may do what: bearer tokens become principals, role assignments decide. Fails closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import orjson
from sqlalchemy import select

from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.store import Store
from isthmus.store.tables import resources

ROLE_ASSIGNMENTS = "microsoft.authorization/roleassignments"


class Caller(Protocol):
    """What authentication says of a caller."""

    @property
    def object_id(self) -> str:
        """The principal's id, which role assignments name."""
        ...

    @property
    def kind(self) -> str:
        """user, application, machine or system."""
        ...

    @property
    def name(self) -> str:
        """For people."""
        ...


class Access:
    """Authentication (`authenticate`: Authorization header to caller) and the decision over stored role assignments."""

    def __init__(
        self,
        store: Store,
        authenticate: Callable[[str | None], Caller],
        allows: Callable[[Sequence[tuple[str, str]], str, str], bool],
    ) -> None:
        self._store = store
        self._authenticate = authenticate
        self._allows = allows

    def caller(self, authorization: str | None) -> Caller:
        """The caller of a request; raises ArmError 401."""
        return self._authenticate(authorization)

    def assignments(self, principal: str) -> list[tuple[str, str]]:
        """(scope, role definition id) of every assignment of a principal. Read for each request: a removed role ends with it."""
        wanted = (resources.c.source == f"principal:{principal.lower()}", resources.c.type == ROLE_ASSIGNMENTS)
        with self._store.read() as connection:
            documents = connection.execute(select(resources.c.document).where(*wanted)).scalars().all()
        found = (orjson.loads(document)["properties"] for document in documents)
        return [(properties["scope"], properties["roleDefinitionId"]) for properties in found]

    def permits(self, caller: Caller, action: str, scope: str) -> bool:
        """Whether the caller may do this there."""
        return self._allows(self.assignments(caller.object_id), action, scope)

    def require(self, caller: Caller, action: str, scope: str) -> None:
        """Raises ArmError 403 `AuthorizationFailed` that names action and scope."""
        if not self.permits(caller, action, scope):
            raise ArmError(
                "AuthorizationFailed",
                f"The client '{caller.name or caller.object_id}' ('{caller.object_id}') does not have authorization to perform "
                f"action '{action}' over scope '{scope}'. Ask an owner of that scope for a role assignment.",
                status=403,
            )


def actor_of(caller: Caller, correlation: str) -> Actor:
    """The caller as the engine records it."""
    kind = {"user": "User", "application": "Application", "machine": "ManagedIdentity", "system": "Application"}.get(
        caller.kind, "Application"
    )
    return Actor(id=caller.object_id, kind=kind, name=caller.name, correlation=correlation)
