"""Microsoft.Resources: the plumbing that every ARM client expects — subscriptions, groups, providers, resource lists, tags, locations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from isthmus.arm.change import Change, JobOrder, OperationOrder
from isthmus.arm.envelope import Resource, instant, location_of, tags_of
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.ids import ResourceId, parse_resource
from isthmus.arm.paging import filter_of
from isthmus.arm.types import Action, Actor, Answer, Ask, Registry, ResourceType, Scope
from isthmus.engine import Engine, Lookup
from isthmus.providers.locations import LOCATIONS
from isthmus.work import Arguments, Job

SUBSCRIPTIONS = "Microsoft.Resources/subscriptions"
GROUPS = "Microsoft.Resources/resourceGroups"
DELETE_GROUP = "resources.delete-group"
GROUP_NAME = re.compile(r"^[-\w._()]{0,89}[-\w_()]$")
GROUP_NAME_TOLD = "It has 1 to 90 letters, digits and -_.() characters, with no period at its end."


def rows(lookup: Lookup, table: Callable[[], Registry], tenant: str) -> tuple[ResourceType, ...]:
    """The rows of this namespace. `table` is asked late, since the list of providers contains every row."""
    return (*_containers(lookup, tenant), *_catalogues(lookup, table, tenant))


def _containers(lookup: Lookup, tenant: str) -> tuple[ResourceType, ...]:
    def subscriptions(ask: Ask) -> Iterable[Mapping[str, Any]]:
        for resource in lookup.all(types=[SUBSCRIPTIONS]):
            if ask.permits("Microsoft.Resources/subscriptions/read", str(resource.id)):
                yield show_subscription(resource)

    def show_subscription(resource: Resource, _version: str = "") -> Mapping[str, Any]:
        return {
            "id": str(resource.id),
            "subscriptionId": resource.id.name,
            "tenantId": tenant,
            "displayName": resource.properties["displayName"],
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "Isthmus", "spendingLimit": "Off"},
            "tags": dict(resource.tags),
        }

    return (
        ResourceType(
            name=SUBSCRIPTIONS,
            scopes=frozenset({Scope.TENANT}),
            name_pattern=re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
            enumerate=subscriptions,
            is_open=True,
            show=show_subscription,
            put=_put_subscription,
            manifest=False,
        ),
        ResourceType(
            name=GROUPS,
            scopes=frozenset({Scope.SUBSCRIPTION}),
            lists=frozenset({Scope.SUBSCRIPTION}),
            name_pattern=GROUP_NAME,
            name_told=GROUP_NAME_TOLD,
            tracked=True,
            capabilities="SupportsTags, SupportsLocation",
            put=put_group,
            patch=_patch_group,
            delete=_delete_group,
            removal=202,
            must_exist=True,
        ),
        ResourceType(
            name="Microsoft.Resources/tags",
            scopes=frozenset({Scope.EXTENSION, Scope.GROUP, Scope.SUBSCRIPTION}),
            name_pattern=re.compile(r"^default$"),
            aspect=True,
            show=_show_tags,
            put=_replace_tags,
            patch=_merge_tags,
            delete=lambda old, ask: Change(puts=(replace(_existing(old, ask), tags={}),)),
            must_exist=True,
        ),
    )


def _put_subscription(old: Resource | None, ask: Ask) -> Change:
    properties = ask.body.get("properties", {})
    name = properties.get("displayName") if isinstance(properties, dict) else None
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 64:
        raise invalid("A subscription needs a displayName of 1 to 64 characters.", target="properties.displayName")
    tags = old.tags if old and "tags" not in ask.body else tags_of(ask.body.get("tags"))
    return Change(puts=(Resource(id=ask.id, tags=tags, properties={"displayName": name.strip()}),))


def put_group(old: Resource | None, ask: Ask) -> Change:
    """Create a resource group or replace its tags; it never moves."""
    location = location_of(ask.body.get("location"))
    if old is not None and old.location != location:
        raise invalid(
            f"Resource group '{ask.id.name}' exists in location '{old.location}'; a group does not move.",
            target="location",
            code="InvalidResourceGroupLocation",
        )
    if old is not None and old.properties["provisioningState"] == "Deleting":
        raise ArmError("ResourceGroupBeingDeleted", f"Resource group '{ask.id.name}' is being deleted. Wait for its end.", status=409)
    managed = {"managedBy": ask.body["managedBy"]} if isinstance(ask.body.get("managedBy"), str) else {}
    made = Resource(
        id=old.id if old else ask.id,
        location=location,
        tags=tags_of(ask.body.get("tags")),
        properties={"provisioningState": "Succeeded"},
        extra=managed,
    )
    return Change(puts=(made,))


def _patch_group(old: Resource | None, ask: Ask) -> Change:
    group = _existing(old, ask)
    return Change(puts=(replace(group, tags=tags_of(ask.body["tags"])),)) if "tags" in ask.body else Change(puts=(group,))


def _delete_group(old: Resource | None, ask: Ask) -> Change:
    group = _existing(old, ask)
    operation = ask.new_guid()
    return Change(
        puts=(replace(group, properties={"provisioningState": "Deleting"}),),
        operation=OperationOrder(id=operation, resource=group.id, kind="delete-group"),
        jobs=(JobOrder(job=DELETE_GROUP, id=f"delete-group:{operation}", arguments={"group": str(group.id), "operation": operation}),),
    )


def delete_group(engine: Engine, lookup: Lookup) -> Job:
    """The job that empties a resource group, removes it and ends the operation. Repeating it finds less to do."""

    def run(arguments: Arguments) -> None:
        group = parse_resource(arguments["group"])
        actor = Actor(id="isthmus", kind="Application", name="Isthmus")
        while items := lookup.page(subscription=group.subscription, group=group.name, exclude=[GROUPS], limit=500).items:
            engine.apply(Change(deletes=tuple(item.id for item in items)), actor, "resources/delete", str(group))
        engine.apply(Change(deletes=(group,)), actor, f"{GROUPS}/delete", str(group))
        engine.finish(arguments["operation"])

    def failed(arguments: Arguments, error: ArmError) -> None:
        engine.finish(arguments["operation"], error=error)

    return Job(name=DELETE_GROUP, queue="requests", run=run, failed=failed)


def _show_tags(resource: Resource, _version: str) -> Mapping[str, Any]:
    return {
        "id": f"{resource.id}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": dict(resource.tags)},
    }


def _asked_tags(ask: Ask) -> dict[str, str]:
    properties = ask.body.get("properties")
    if not isinstance(properties, dict) or "tags" not in properties:
        raise invalid("The body needs properties.tags.", target="properties.tags")
    return tags_of(properties["tags"], target="properties.tags")


def _replace_tags(old: Resource | None, ask: Ask) -> Change:
    return Change(puts=(replace(_existing(old, ask), tags=_asked_tags(ask)),))


def _merge_tags(old: Resource | None, ask: Ask) -> Change:
    """PATCH of tags: Merge adds and overwrites, Replace sets, Delete removes the given names whose value (if not empty) agrees."""
    resource, given = _existing(old, ask), _asked_tags(ask)
    operation = ask.body.get("operation", "Merge")
    if operation == "Merge":
        folded = {name.lower() for name in given}
        tags = {name: value for name, value in resource.tags.items() if name.lower() not in folded} | given
    elif operation == "Replace":
        tags = given
    elif operation == "Delete":
        gone = {name.lower(): value for name, value in given.items()}
        tags = {name: value for name, value in resource.tags.items() if gone.get(name.lower(), "\0") not in ("", value)}
    else:
        raise invalid(f"operation must be Merge, Replace or Delete, not '{str(operation)[:32]}'.", target="operation")
    return Change(puts=(replace(resource, tags=tags_of(tags)),))


def _existing(old: Resource | None, ask: Ask) -> Resource:
    if old is None:
        raise ArmError("ResourceNotFound", f"The resource '{ask.id.parent or ask.id}' was not found.", status=404)
    return old


def _catalogues(lookup: Lookup, table: Callable[[], Registry], tenant: str) -> tuple[ResourceType, ...]:
    def providers(ask: Ask) -> Iterable[Mapping[str, Any]]:
        return (manifest(table(), namespace, ask.id) for namespace in sorted(table().namespaces.values(), key=str.lower))

    def provider(ask: Ask) -> Mapping[str, Any]:
        namespace = table().namespaces.get(ask.id.name.lower())
        if namespace is None:
            raise ArmError("InvalidResourceNamespace", f"The resource namespace '{ask.id.name}' is invalid.", status=404)
        return manifest(table(), namespace, ask.id)

    def locations(ask: Ask) -> Iterable[Mapping[str, Any]]:
        subscription = f"/subscriptions/{ask.id.subscription}"
        for name, display in sorted(LOCATIONS.items()):
            yield {
                "id": f"{subscription}/locations/{name}",
                "name": name,
                "type": "Region",
                "displayName": display,
                "regionalDisplayName": display,
            }

    def resources(ask: Ask) -> Iterable[Mapping[str, Any]]:
        return _list_everything(lookup, table(), ask)

    def tenants(_ask: Ask) -> Iterable[Mapping[str, Any]]:
        yield {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "Isthmus", "tenantCategory": "Home"}

    anywhere = frozenset({Scope.TENANT, Scope.SUBSCRIPTION})
    return (
        ResourceType(
            name="Microsoft.Resources/providers", scopes=anywhere, enumerate=providers, read=provider, manifest=False, is_open=True
        ),
        ResourceType(name="Microsoft.Resources/tenants", scopes=frozenset({Scope.TENANT}), enumerate=tenants, manifest=False, is_open=True),
        ResourceType(name="Microsoft.Resources/locations", scopes=frozenset({Scope.SUBSCRIPTION}), enumerate=locations, manifest=False),
        ResourceType(
            name="Microsoft.Resources/resources",
            scopes=frozenset({Scope.SUBSCRIPTION, Scope.GROUP}),
            enumerate=resources,
            manifest=False,
        ),
    )


def register(table: Callable[[], Registry], namespace: str) -> ResourceType:
    """The row behind `POST …/providers/{namespace}/register`: every provider is registered always, so it answers the manifest."""

    def act(_resource: Resource | None, ask: Ask) -> Answer:
        above = ResourceId(ask.id.scope, "Microsoft.Resources", ("providers",), (namespace,))
        return Answer(body=manifest(table(), namespace, above))

    action = Action(name="register", act=act, needs_resource=False)
    return ResourceType(name=f"{namespace}/register", scopes=frozenset({Scope.SUBSCRIPTION}), actions=(action,), manifest=False)


def manifest(table: Registry, namespace: str, id: ResourceId) -> Mapping[str, Any]:
    """The provider document; stable api-versions stand first, newest first, since clients take the first stable one."""
    kinds = [
        {
            "resourceType": row.kind,
            "locations": [LOCATIONS.get(location, location) for location in row.locations],
            "apiVersions": sorted(row.versions, key=lambda version: ("preview" not in version, version), reverse=True) or ["2022-09-01"],
            "capabilities": row.capabilities,
        }
        for row in table.in_namespace(namespace)
        if row.manifest
    ]
    return {
        "id": f"/subscriptions/{id.subscription}/providers/{namespace}" if id.subscription else f"/providers/{namespace}",
        "namespace": namespace,
        "authorizations": [],
        "resourceTypes": kinds,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationFree" if namespace.startswith("Microsoft.Resources") else "RegistrationRequired",
    }


def _list_everything(lookup: Lookup, table: Registry, ask: Ask) -> Iterable[Mapping[str, Any]]:
    """Tracked resources of a subscription or group, filtered as asked, in the order of their ids."""
    clauses = filter_of(ask.query)
    tracked = [row.name for row in table.rows.values() if row.tracked and row.name != GROUPS]
    kind = clauses.get("resourcetype")
    types = [name for name in tracked if kind is None or name.lower() == kind.lower()]
    after = ask.query.get("$after", "")
    while types:
        page = lookup.page(
            types=types,
            subscription=ask.id.subscription,
            group=ask.id.group or clauses.get("resourcegroup", ""),
            tag=(clauses["tagname"], clauses.get("tagvalue")) if "tagname" in clauses else None,
            name=clauses.get("name", ""),
            location=clauses.get("location", "").replace(" ", "").lower(),
            after=after,
            limit=200,
        )
        for resource in page.items:
            yield _generic(resource, table, ask.query.get("$expand", ""))
        if not page.after:
            return
        after = page.after


def _generic(resource: Resource, table: Registry, expand: str) -> Mapping[str, Any]:
    row = table.find(resource.id.type)
    answer: dict[str, Any] = {
        "id": str(resource.id),
        "name": resource.id.name,
        "type": row.name if row else resource.id.type,
        "location": resource.location,
        "tags": dict(resource.tags),
        **{name: resource.extra[name] for name in ("kind", "identity", "managedBy") if name in resource.extra},
    }
    system = resource.system
    wanted = {part.strip().lower() for part in expand.split(",")}
    if system and "createdtime" in wanted:
        answer["createdTime"] = instant(system.created_at)
    if system and "changedtime" in wanted:
        answer["changedTime"] = instant(system.changed_at)
    if "provisioningstate" in wanted:
        answer["provisioningState"] = resource.properties.get("provisioningState", "Succeeded")
    return answer
