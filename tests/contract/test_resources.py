"""azure-mgmt-resource and its subscriptions package drive groups, providers, tags, resource lists, subscriptions and locations."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.hybridconnectivity import HybridConnectivityMgmtClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.resources.models import ResourceGroup, ResourceGroupPatchable, Tags, TagsPatchResource, TagsResource

from tests.contract.server import Server

pytestmark = pytest.mark.e2e

CONNECTORS = "Microsoft.HybridConnectivity/publicCloudConnectors"


def connector(server: Server, group: str, name: str = "connector", **tags: str) -> str:
    """The id of a new connector."""
    properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": server.account()}}
    made = server.connectivity().public_cloud_connectors
    id: str = made.begin_create_or_update(group, name, {"location": "eastus", "tags": tags, "properties": properties}).result().id
    return id


def test_a_resource_group_lives(resources: ResourceManagementClient, server: Server) -> None:
    groups, name = resources.resource_groups, "Main-Group"
    assert groups.check_existence(name) is False
    made = groups.create_or_update(name, ResourceGroup(location="West Europe", tags={"a": "1"}))
    assert made.id == f"/subscriptions/{server.subscription}/resourceGroups/{name}"
    assert (made.location, made.type, made.properties.provisioning_state) == (
        "westeurope",
        "Microsoft.Resources/resourceGroups",
        "Succeeded",
    )
    assert groups.create_or_update(name, ResourceGroup(location="westeurope", tags={"b": "2"})).tags == {"b": "2"}
    assert groups.update(name, ResourceGroupPatchable(tags={"c": "3"})).tags == {"c": "3"}
    assert groups.get(name.upper()).tags == {"c": "3"}
    assert groups.check_existence(name.lower()) is True
    with pytest.raises(HttpResponseError) as moved:
        groups.create_or_update(name, ResourceGroup(location="eastus"))
    assert moved.value.error.code == "InvalidResourceGroupLocation"

    connector(server, name)
    groups.begin_delete(name).result(timeout=60)
    assert groups.check_existence(name) is False
    with pytest.raises(ResourceNotFoundError) as gone:
        server.connectivity().public_cloud_connectors.get(name, "connector")
    assert gone.value.error.code == "ResourceGroupNotFound"
    for call in (groups.get, groups.begin_delete):
        with pytest.raises(ResourceNotFoundError) as missing:
            call(name)
        assert missing.value.error.code == "ResourceGroupNotFound"


def test_resource_groups_are_listed(resources: ResourceManagementClient, server: Server) -> None:
    mine = [server.group(paged="yes") for _ in range(5)]
    listed = list(resources.resource_groups.list(filter="tagName eq 'paged' and tagValue eq 'yes'", top=2).by_page())
    pages = [[one.name for one in page] for page in listed]
    assert sorted(name for page in pages for name in page) == sorted(mine)
    assert set(mine) <= {one.name for one in resources.resource_groups.list()}


def test_providers(resources: ResourceManagementClient) -> None:
    listed = {one.namespace: one for one in resources.providers.list(expand="resourceTypes/aliases")}
    assert {"Microsoft.HybridConnectivity", "Microsoft.AwsConnector", "Microsoft.HybridCompute", "Microsoft.Authorization"} <= set(listed)
    assert {one.registration_state for one in listed.values()} == {"Registered"}
    found = resources.providers.get("microsoft.hybridcompute")
    machines = next(one for one in found.resource_types if one.resource_type == "machines")
    assert machines.api_versions[0] == "2026-07-15"
    assert "East US" in machines.locations
    assert resources.providers.register("Microsoft.HybridCompute").registration_state == "Registered"
    assert resources.providers.get_at_tenant_scope("Microsoft.HybridCompute").namespace == "Microsoft.HybridCompute"
    assert {one.namespace for one in resources.providers.list_at_tenant_scope()} == set(listed)
    with pytest.raises(ResourceNotFoundError) as missing:
        resources.providers.get("Contoso.Nothing")
    assert missing.value.error.code == "InvalidResourceNamespace"


def test_tags_of_a_resource(resources: ResourceManagementClient, server: Server, group: str) -> None:
    tags, scope = resources.tags, connector(server, group, old="1").lstrip("/")
    assert tags.get_at_scope(scope).properties.tags == {"old": "1"}
    replaced = tags.begin_create_or_update_at_scope(scope, TagsResource(properties=Tags(tags={"a": "1", "b": "2"}))).result()
    assert replaced.properties.tags == {"a": "1", "b": "2"}
    for operation, given, expected in (
        ("Merge", {"c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        ("Delete", {"a": "1"}, {"b": "2", "c": "3"}),
        ("Replace", {"d": "4"}, {"d": "4"}),
    ):
        changed = tags.begin_update_at_scope(scope, TagsPatchResource(operation=operation, properties=Tags(tags=given))).result()
        assert changed.properties.tags == expected, operation
    assert resources.resources.get_by_id(scope, api_version="2024-12-01").tags == {"d": "4"}
    tags.begin_delete_at_scope(scope).result()
    assert tags.get_at_scope(scope).properties.tags == {}
    for call in (tags.get_at_scope, tags.begin_delete_at_scope):
        with pytest.raises(ResourceNotFoundError):
            call(f"{scope}x")


@pytest.mark.parametrize("kind", ["group", "subscription"])
def test_tags_of_containers(resources: ResourceManagementClient, server: Server, group: str, kind: str) -> None:
    scope = f"subscriptions/{server.subscription}" + (f"/resourceGroups/{group}" if kind == "group" else "")
    given = TagsPatchResource(operation="Merge", properties=Tags(tags={"cost": "7"}))
    made = resources.tags.begin_update_at_scope(scope, given).result()
    assert made.id == f"/{scope}/providers/Microsoft.Resources/tags/default"
    assert resources.tags.get_at_scope(scope).properties.tags["cost"] == "7"
    if kind == "group":
        assert resources.resource_groups.get(group).tags == {"cost": "7"}
        assert resources.resource_groups.get(group).location == "eastus"


def test_resources_are_listed_filtered_and_expanded(resources: ResourceManagementClient, server: Server, group: str) -> None:
    ids = [connector(server, group, f"connector-{number}", number=f"{number}") for number in range(5)]
    asked = resources.resources.list(filter=f"resourceGroup eq '{group}'", expand="createdTime,changedTime,provisioningState", top=2)
    pages = [list(page) for page in asked.by_page()]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one.id for page in pages for one in page] == ids
    first = pages[0][0]
    assert (first.type, first.location, first.tags, first.provisioning_state) == (CONNECTORS, "eastus", {"number": "0"}, "Succeeded")
    assert first.created_time <= first.changed_time
    assert [one.id for one in resources.resources.list_by_resource_group(group, top=3)] == ids
    for filter in (f"resourceType eq '{CONNECTORS}' and name eq 'connector-3'", "tagName eq 'number' and tagValue eq '3'"):
        assert [one.id for one in resources.resources.list(filter=filter)] == [ids[3]], filter
    with pytest.raises(HttpResponseError) as wrong:
        list(resources.resources.list(filter="mood eq 'good'"))
    assert wrong.value.error.code == "InvalidFilter"
    with pytest.raises(ResourceNotFoundError) as nowhere:
        list(resources.resources.list_by_resource_group("no-such-group"))
    assert nowhere.value.error.code == "ResourceGroupNotFound"


def test_any_resource_is_reached_by_its_id_or_its_parts(resources: ResourceManagementClient, server: Server, group: str) -> None:
    properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": server.account()}}
    parts = {
        "resource_provider_namespace": "Microsoft.HybridConnectivity",
        "parent_resource_path": "",
        "resource_type": "publicCloudConnectors",
        "resource_name": "generic",
        "api_version": "2024-12-01",
    }
    generic = resources.resources
    made = generic.begin_create_or_update(group, parameters={"location": "eastus", "properties": properties}, **parts).result()
    assert made.properties["awsCloudProfile"]["accountId"] == properties["awsCloudProfile"]["accountId"]
    assert generic.check_existence(group, **parts) is True
    assert generic.check_existence_by_id(made.id, api_version="2024-12-01") is True
    assert generic.get(group, **parts).id == made.id
    assert generic.begin_update(group, parameters={"tags": {"x": "y"}}, **parts).result().tags == {"x": "y"}
    assert generic.begin_update_by_id(made.id, {"tags": {}}, api_version="2024-12-01").result().tags == {}
    again = {"location": "eastus", "properties": properties, "tags": {"p": "q"}}
    assert generic.begin_create_or_update_by_id(made.id, again, api_version="2024-12-01").result().tags == {"p": "q"}
    generic.begin_delete(group, **parts).result()
    assert generic.check_existence(group, **parts) is False
    generic.begin_delete_by_id(made.id, api_version="2024-12-01").result()
    assert generic.check_existence_by_id(made.id, api_version="2024-12-01") is False


def test_subscriptions_locations_and_tenants(server: Server) -> None:
    client = server.subscriptions()
    (home,) = client.subscriptions.list()
    assert (home.subscription_id, home.tenant_id, home.state, home.display_name) == (
        server.subscription,
        server.tenant,
        "Enabled",
        "Isthmus",
    )
    assert client.subscriptions.get(server.subscription).id == f"/subscriptions/{server.subscription}"
    locations = {one.name: one.display_name for one in client.subscriptions.list_locations(server.subscription)}
    assert locations["eastus"] == "East US"
    assert [one.tenant_id for one in client.tenants.list()] == [server.tenant]
    with pytest.raises(ResourceNotFoundError) as missing:
        client.subscriptions.get("00000000-0000-0000-0000-00000000000f")
    assert missing.value.error.code == "SubscriptionNotFound"


def test_operations_are_listed(resources: ResourceManagementClient) -> None:
    names = [one.name for one in resources.operations.list()]
    assert "Microsoft.Resources/resourceGroups/write" in names


def test_a_deleted_group_can_be_made_again(resources: ResourceManagementClient, server: Server, group: str) -> None:
    client: HybridConnectivityMgmtClient = server.connectivity()
    first = connector(server, group)
    account = client.public_cloud_connectors.get(group, "connector").properties.aws_cloud_profile.account_id
    resources.resource_groups.begin_delete(group).result(timeout=60)
    resources.resource_groups.create_or_update(group, {"location": "eastus"})
    body = {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": account}}}
    assert client.public_cloud_connectors.begin_create_or_update(group, "connector", body).result().id == first
