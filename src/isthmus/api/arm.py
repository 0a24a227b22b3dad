"""The ARM endpoint: a request's id finds its row, the row says what the verb does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from isthmus.api import operations, verbs
from isthmus.api.access import Access, actor_of
from isthmus.api.wire import Incoming, Reply
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import RESOURCES, ResourceId, group_id, parse, subscription_id
from isthmus.arm.types import Ask, Registry, ResourceType, Scope
from isthmus.arm.versions import accept
from isthmus.engine import Engine, Lookup
from isthmus.identity.principal import Principal

_WRITES = {"PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
_NAMES_ANOTHER = frozenset({"DuplicateResource", "RoleAssignmentExists"})
"""Codes whose text and target name a resource that nobody asked for."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Everything that the endpoint needs; `answer` is the whole of it."""

    registry: Registry
    engine: Engine
    lookup: Lookup
    access: Access
    tenant: str
    new_guid: Callable[[], str]

    def answer(self, incoming: Incoming) -> Reply:
        """Answer one request. Raises ArmError; a refused write or a refused caller leaves an audit record."""
        caller = self.access.caller(incoming.headers.get("authorization"))
        target = incoming.path
        verb = _WRITES.get(incoming.method, "read")
        try:
            id = parse(incoming.path)
            target = str(id)
            self.access.require_standing(caller)
            if verb == "action" and self._only_reads(id):
                verb = "read"
            return self._route(incoming, caller, id)
        except ArmError as error:
            if error.status == 403 or (verb != "read" and error.status < 500):
                self.engine.refuse(actor_of(caller, incoming.correlation), f"{incoming.method} {verb}", target, error)
            raise self._told(caller, error) from error

    def _told(self, caller: Principal, error: ArmError) -> ArmError:
        """The error as this caller may hear it: a conflict names the other resource to those who may read it."""
        if error.code not in _NAMES_ANOTHER or error.target is None:
            return error
        if self.access.permits(caller, f"{parse(error.target).type}/read", error.target):
            return error
        hidden = "What you ask for is in use by another resource of this tenant, which you may not read. Ask an owner of the tenant."
        return ArmError(error.code, hidden, status=error.status)

    def _route(self, incoming: Incoming, caller: Principal, id: ResourceId) -> Reply:
        if operations.is_operation(id):
            return self._poll(incoming, caller, id)
        if incoming.method == "POST":
            return self._post(incoming, caller, id)
        row = self._row(id)
        ask = self._ask(incoming, caller, id, row)
        verb = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}.get(incoming.method)
        if verb is None or (id.is_collection and verb != "read"):
            raise not_allowed(incoming.method, id)
        is_open = row.is_open if id.is_collection else row.opens_each and verb == "read"
        if not (id.scope is None and is_open):
            self.access.require(caller, f"{row.name}/{verb}", str(id if not id.is_collection else id.parent or "/"))
        if id.is_collection:
            self._require_scope(id)
            return verbs.list_resources(self._with_parent(ask, id), row, incoming, self.lookup)
        if incoming.method in ("GET", "HEAD"):
            if row.read is not None:
                self._require_scope(id)
                ask = self._with_parent(ask, id)
            return verbs.get(ask, row, incoming, self.lookup)
        if incoming.method == "DELETE":
            return verbs.delete(ask if self.lookup.find(id) else self._with_parent(ask, id), row, incoming, self.engine, self.lookup)
        self._require_scope(id)
        change = verbs.put if incoming.method == "PUT" else verbs.patch
        return change(self._with_parent(ask, id), row, incoming, self.engine)

    def _post(self, incoming: Incoming, caller: Principal, id: ResourceId) -> Reply:
        """A POST names an action behind a resource, behind a scope, or `register` behind a provider."""
        if not id.is_collection:
            raise not_allowed("POST", id)
        name = id.types[-1]
        above = id.parent if len(id.types) > 1 else None
        row = self._row(above or id)
        action = row.action(name)
        if action is None:
            raise ArmError("InvalidAction", f"'{row.name}' has no action '{name}'.", status=404, target=str(id))
        needed = "read" if action.reads else f"{name}/action" if above else "action"
        if not action.is_open:
            self.access.require(caller, f"{row.name}/{needed}", str(above or id.scope or "/"))
        target = above if above is not None else id
        ask = self._ask(incoming, caller, target, row)
        self._require_scope(id)
        if not action.needs_resource:
            return verbs.act(ask, action, None, incoming, self.engine)
        resource = self._stored(target, row)
        return verbs.act(self._with_parent(ask, target), action, resource, incoming, self.engine)

    def _only_reads(self, id: ResourceId) -> bool:
        """Whether a POST names an action that changes nothing."""
        above = id.parent if len(id.types) > 1 else None
        row = self.registry.find((above or id).type)
        action = row.action(id.types[-1]) if row is not None else None
        return action is not None and action.reads

    def _poll(self, incoming: Incoming, caller: Principal, id: ResourceId) -> Reply:
        def may_read(resource: str, starter: str) -> None:
            if caller.object_id != starter:
                self.access.require(caller, f"{id.namespace}/operationStatuses/read", resource)

        return operations.poll(self.lookup.store, id, incoming, may_read)

    def _row(self, id: ResourceId) -> ResourceType:
        row = self.registry.find(id.type)
        if row is None and id.namespace.lower() not in self.registry.namespaces:
            raise ArmError("InvalidResourceNamespace", f"The resource namespace '{id.namespace}' is invalid.", status=404, target=str(id))
        if row is None or _place(id) not in row.scopes | row.lists:
            kind = "/".join(id.types)
            raise ArmError(
                "InvalidResourceType",
                f"The resource type '{kind}' could not be found in the namespace '{id.namespace}' at this scope.",
                status=404,
                target=str(id),
            )
        return row

    def _ask(self, incoming: Incoming, caller: Principal, id: ResourceId, row: ResourceType) -> Ask:
        version = accept(incoming.query.get("api-version"), row.versions, resource_type=row.name, locations=row.locations)
        body = incoming.object() if incoming.method in ("PUT", "PATCH") else incoming.json() if incoming.method == "POST" else None
        return Ask(
            id=id,
            version=version,
            body=body,
            query=incoming.query,
            actor=actor_of(caller, incoming.correlation),
            now=self.engine.now(),
            new_guid=self.new_guid,
            tenant=self.tenant,
            base_url=incoming.base_url,
            match=verbs.tag_of(incoming, "if-match") if incoming.method == "POST" else "",
            permits=self.access.judge(caller),
        )

    def _with_parent(self, ask: Ask, id: ResourceId) -> Ask:
        """The ask with the stored resource that the id lies in or extends; raises ArmError 404 when that does not exist."""
        parent = id.parent
        if parent is None or parent.namespace == RESOURCES:
            return ask
        row = self._row(parent)
        below = self._row(id)
        extended = below.extends
        if len(id.types) == 1 and extended and row.name.lower() not in {name.lower() for name in extended}:
            raise ArmError("InvalidResourceType", f"'{id.type}' does not extend '{row.name}'.", status=404, target=str(id))
        if below.outlives and self.lookup.find(parent) is None:
            return ask
        return replace(ask, parent=self._stored(parent, row, code="ParentResourceNotFound"))

    def _stored(self, id: ResourceId, row: ResourceType, code: str = "ResourceNotFound") -> Resource:
        found = self.lookup.find(id)
        if found is None:
            self._require_scope(id)
            raise ArmError(
                code,
                f"The Resource '{row.name}/{id.name}' under resource group '{id.group}' was not found.",
                status=404,
                target=str(id),
            )
        return found

    def _require_scope(self, id: ResourceId) -> None:
        """The subscription and the resource group of an id must exist."""
        subscription, group = id.subscription, id.group
        outside = id.scope is not None
        if subscription and outside and self.lookup.find(subscription_id(subscription)) is None:
            raise ArmError("SubscriptionNotFound", f"The subscription '{subscription}' could not be found.", status=404)
        if group and id.scope != subscription_id(subscription) and self.lookup.find(group_id(subscription, group)) is None:
            raise ArmError("ResourceGroupNotFound", f"Resource group '{group}' could not be found.", status=404)


def _place(id: ResourceId) -> Scope:
    if id.scope is None:
        return Scope.TENANT
    if id.scope.namespace != RESOURCES:
        return Scope.EXTENSION
    return Scope.GROUP if id.group and id.scope.types[0] == "resourceGroups" else Scope.SUBSCRIPTION


def not_allowed(method: str, id: ResourceId) -> ArmError:
    """405: the resource is known, the verb is not for it."""
    return ArmError("MethodNotAllowed", f"{method} is not offered for '{id.type}'.", status=405, target=str(id))
