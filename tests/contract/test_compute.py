"""azure-mgmt-hybridcompute 10.0.0 drives every operation on machines that we offer."""

from __future__ import annotations

import base64
import uuid

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.hybridcompute import HybridComputeManagementClient
from azure.mgmt.hybridcompute.models import (
    LocationData,
    Machine,
    MachineProperties,
    MachineUpdate,
    MachineUpdateProperties,
    ManagedServiceIdentity,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from isthmus.arm.envelope import Resource
from isthmus.arm.ids import group_id
from tests.contract.server import Server

pytestmark = pytest.mark.e2e


def public_key() -> str:
    """A key as `azcmagent genkey` prints it; no two machines share one."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return base64.b64encode(made.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()


def machine(key: str = "", vm_id: str = "", **more: object) -> Machine:
    properties = MachineProperties(vm_id=vm_id or str(uuid.uuid4()), client_public_key=key or public_key(), os_type="linux", **more)
    return Machine(
        location="eastus", kind="AWS", identity=ManagedServiceIdentity(type="SystemAssigned"), tags={"a": "1"}, properties=properties
    )


def test_a_machine_lives(compute: HybridComputeManagementClient, server: Server, group: str) -> None:
    asked = machine()
    vm_id, key = asked.properties.vm_id, asked.properties.client_public_key
    made = compute.machines.create_or_update(group, "i-0a", asked)
    assert made.type == "Microsoft.HybridCompute/machines"
    assert (made.kind, made.identity.type, made.identity.tenant_id) == ("AWS", "SystemAssigned", server.tenant)
    assert made.identity.principal_id
    assert made.properties.status == "AwaitingConnection"
    again = compute.machines.create_or_update(group, "i-0a", asked)
    assert (again.id, again.identity.principal_id) == (made.id, made.identity.principal_id)

    read = compute.machines.get(group, "I-0A", expand="instanceView")
    assert (read.id, read.properties.vm_id, read.properties.client_public_key) == (made.id, vm_id, key)
    assert read.system_data.created_at is not None

    change = MachineUpdate(tags={"b": "2"}, properties=MachineUpdateProperties(location_data=LocationData(name="us-east-1")))
    updated = compute.machines.update(group, "i-0a", change)
    assert (updated.tags, updated.properties.location_data.name) == ({"b": "2"}, "us-east-1")
    assert updated.properties.vm_id == vm_id

    compute.machines.begin_delete(group, "i-0a").result()
    compute.machines.begin_delete(group, "i-0a").result()
    with pytest.raises(ResourceNotFoundError) as missing:
        compute.machines.get(group, "i-0a")
    assert missing.value.error.code == "ResourceNotFound"


@pytest.mark.parametrize("version", ["2024-07-10", "2025-01-13", "2025-02-19-preview"])
def test_older_versions_know_no_machine_that_waits(server: Server, group: str, version: str) -> None:
    older = server.compute(api_version=version)
    assert older.machines.create_or_update(group, "i-0b", machine()).properties.status is None
    assert older.machines.get(group, "i-0b").properties.status is None


def test_machines_are_listed_over_pages(compute: HybridComputeManagementClient, server: Server, group: str) -> None:
    scope = group_id(server.subscription, group)
    names = [f"i-{number:04x}" for number in range(120)]
    server.store(
        *(
            Resource(
                id=scope.extension("Microsoft.HybridCompute/machines", name),
                location="eastus",
                properties={"provisioningState": "Succeeded"},
            )
            for name in names
        )
    )
    assert [len(list(page)) for page in compute.machines.list_by_resource_group(group).by_page()] == [100, 20]
    assert [one.name for one in compute.machines.list_by_resource_group(group)] == names
    everywhere = [one.id for one in compute.machines.list_by_subscription()]
    assert len(everywhere) == len(set(everywhere)) >= 120


def test_what_a_machine_refuses(compute: HybridComputeManagementClient, group: str) -> None:
    made = machine()
    compute.machines.create_or_update(group, "i-0c", made)
    with pytest.raises(HttpResponseError) as moved:
        compute.machines.create_or_update(group, "i-0c", machine(made.properties.client_public_key))
    assert (moved.value.status_code, moved.value.error.code, moved.value.error.target) == (
        400,
        "PropertyChangeNotAllowed",
        "properties.vmId",
    )
    with pytest.raises(ResourceExistsError) as copied:
        compute.machines.create_or_update(group, "i-0d", machine(made.properties.client_public_key))
    assert copied.value.error.code == "KeyReused"
    spoilt = machine()
    spoilt.properties.client_public_key = "MIIB"
    with pytest.raises(HttpResponseError) as key:
        compute.machines.create_or_update(group, "i-0d", spoilt)
    assert key.value.error.code == "InvalidPublicKey"
    with pytest.raises(ResourceNotFoundError) as nowhere:
        compute.machines.create_or_update("no-such-group", "i-0d", machine())
    assert nowhere.value.error.code == "ResourceGroupNotFound"
    with pytest.raises(ResourceNotFoundError):
        compute.machines.update(group, "i-0e", MachineUpdate(tags={}))
    with pytest.raises(HttpResponseError) as stale:
        compute.machines.update(group, "i-0c", MachineUpdate(tags={}), headers={"If-Match": '"stale"'})
    assert stale.value.status_code == 412


def test_operations_of_machines_are_listed(compute: HybridComputeManagementClient) -> None:
    names = {one.name for one in compute.operations.list()}
    assert {f"Microsoft.HybridCompute/machines/{verb}" for verb in ("read", "write", "delete")} <= names
