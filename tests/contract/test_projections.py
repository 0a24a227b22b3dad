"""Projections of AWS resources as generic clients see them: read, list, tag, delete; they are written by syncs alone."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.mgmt.resource.resources import ResourceManagementClient

from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id
from tests.contract.server import Server

pytestmark = pytest.mark.e2e

VERSION = "2024-12-01"
VOLUMES, BUCKETS, EC2 = "Microsoft.AwsConnector/ec2Volumes", "Microsoft.AwsConnector/s3Buckets", "Microsoft.AwsConnector/ec2Instances"


def projection(id: ResourceId, location: str = "eastus") -> Resource:
    """What a sync writes."""
    properties = {
        "arn": f"arn:aws:test:us-east-1:123456789012:{id.name}",
        "awsAccountId": "123456789012",
        "awsProperties": {"size": 8},
        "awsRegion": "us-east-1",
        "awsSourceSchema": "AWS::EC2::Volume",
        "awsTags": {"Name": id.name},
        "publicCloudResourceName": id.name,
        "provisioningState": "Succeeded",
    }
    return Resource(id=id, location=location, properties=properties, source="test")


def stored(server: Server, group: str, kind: str, *names: str) -> list[str]:
    """Ids of new projections."""
    ids = [group_id(server.subscription, group).extension(kind, name) for name in names]
    server.store(*(projection(id) for id in ids))
    return [str(id) for id in ids]


def fetched(client: ResourceManagementClient, url: str) -> list[str]:
    """Ids of a list, its pages followed as any client does."""
    found: list[str] = []
    while url:
        reply = client.send_request(HttpRequest("GET", url))
        reply.raise_for_status()
        found += [one["id"] for one in reply.json()["value"]]
        url = reply.json().get("nextLink", "")
    return found


def test_a_projection_is_read_tagged_and_deleted(resources: ResourceManagementClient, server: Server, group: str) -> None:
    generic = resources.resources
    (id,) = stored(server, group, VOLUMES, "vol-1")
    read = generic.get_by_id(id.lower(), api_version=VERSION)
    assert (read.id, read.type, read.location) == (id, VOLUMES, "eastus")
    assert read.properties["awsProperties"] == {"size": 8}
    assert generic.check_existence_by_id(id, api_version=VERSION) is True

    tagged = generic.begin_update_by_id(id, {"tags": {"owner": "me"}}, api_version=VERSION).result()
    assert (tagged.tags, tagged.properties) == ({"owner": "me"}, read.properties)
    assert generic.get_by_id(id, api_version="2023-12-01-preview").tags == {"owner": "me"}
    with pytest.raises(HttpResponseError) as foreign:
        generic.begin_update_by_id(id, {"properties": {"awsRegion": "eu-west-1"}}, api_version=VERSION)
    assert foreign.value.error.code == "PropertyChangeNotAllowed"
    with pytest.raises(HttpResponseError) as write:
        generic.begin_create_or_update_by_id(id, {"location": "eastus", "properties": {}}, api_version=VERSION)
    assert (write.value.status_code, write.value.error.code) == (405, "MethodNotAllowed")

    generic.begin_delete_by_id(id, api_version=VERSION).result()
    assert generic.check_existence_by_id(id, api_version=VERSION) is False
    generic.begin_delete_by_id(id, api_version=VERSION).result()
    with pytest.raises(ResourceNotFoundError):
        generic.get_by_id(id, api_version=VERSION)


def test_projections_are_listed_by_type_at_both_scopes(resources: ResourceManagementClient, server: Server, group: str) -> None:
    volumes = stored(server, group, VOLUMES, *(f"vol-{number:04d}" for number in range(205)))
    buckets = stored(server, group, BUCKETS, "bucket-a", "bucket.b")
    base = f"{server.url}/subscriptions/{server.subscription}"
    assert fetched(resources, f"{base}/resourceGroups/{group}/providers/{VOLUMES}?api-version={VERSION}") == volumes
    everywhere = fetched(resources, f"{base}/providers/{VOLUMES}?api-version={VERSION}&$top=90")
    assert len(everywhere) == len(set(everywhere))
    assert set(volumes) <= set(everywhere)
    in_group = [one.id for one in resources.resources.list_by_resource_group(group)]
    assert in_group == sorted([*volumes, *buckets], key=str.lower)


def test_an_instance_extends_its_machine(resources: ResourceManagementClient, server: Server, group: str) -> None:
    machine = group_id(server.subscription, group).extension("Microsoft.HybridCompute/machines", "i-0aa")
    instance = machine.extension(EC2, "default")
    server.store(Resource(id=machine, location="eastus", properties={"provisioningState": "Succeeded"}), projection(instance, ""))
    read = resources.resources.get_by_id(str(instance), api_version=VERSION)
    assert (read.id, read.type, read.location) == (str(instance), EC2, None)
    listed = f"{server.url}{machine}/providers/{EC2}?api-version={VERSION}"
    assert fetched(resources, listed) == [str(instance)]
    assert str(instance) not in {one.id for one in resources.resources.list_by_resource_group(group)}, "it is not tracked"
    with pytest.raises(HttpResponseError) as other:
        resources.resources.get_by_id(f"{machine}/providers/{EC2}/other", api_version=VERSION)
    assert other.value.status_code in (400, 404)
    resources.resources.begin_delete_by_id(str(machine), api_version="2025-01-13").result()
    assert resources.resources.check_existence_by_id(str(instance), api_version=VERSION) is False


def test_a_group_takes_its_projections_along(resources: ResourceManagementClient, server: Server, group: str) -> None:
    (*_, last) = stored(server, group, BUCKETS, *(f"bucket-{number}" for number in range(600)))
    resources.resource_groups.begin_delete(group).result(timeout=60)
    assert resources.resources.check_existence_by_id(last, api_version=VERSION) is False
