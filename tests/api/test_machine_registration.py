"""A machine that a client puts with a key can be joined by its agent, like one that onboarding put."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from isthmus.store.tables import registrations
from tests.api.conftest import Api
from tests.machines.test_publickey import PKCS1

VM = "4d7a9d0b-0000-4000-8000-000000000001"


def machine_body(vm_id: str = VM) -> dict[str, Any]:
    return {
        "location": "eastus",
        "identity": {"type": "SystemAssigned"},
        "properties": {"osName": "linux", "clientPublicKey": PKCS1, "vmId": vm_id},
    }


def test_a_put_machine_is_registered_once_and_can_be_challenged(api: Api) -> None:
    machine = f"{api.group()}/providers/Microsoft.HybridCompute/machines/i-0a"
    principal = api.call("PUT", machine, machine_body(), version="2026-07-15").json()["identity"]["principalId"]
    api.call("PUT", machine, machine_body(), version="2026-07-15")
    with api.app.engine.store.read() as connection:
        row = connection.execute(select(registrations)).one()
    assert (row.vm_id, row.state, row.principal_id, row.public_key) == (VM, "pending", principal, PKCS1)
    answer = api.http.post("/agent/v1/challenge", json={"vmId": VM})
    assert answer.status_code == 200
    assert answer.json()["nonce"]


def test_one_key_is_one_machine(api: Api) -> None:
    group = api.group()
    first = f"{group}/providers/Microsoft.HybridCompute/machines/i-0a"
    assert api.call("PUT", first, machine_body(), version="2026-07-15").status_code == 200
    other = f"{group}/providers/Microsoft.HybridCompute/machines/i-0b"
    copied = api.call("PUT", other, machine_body("4d7a9d0b-0000-4000-8000-000000000002"), version="2026-07-15")
    assert (copied.status_code, copied.json()["error"]["code"]) == (409, "KeyReused")
    assert api.call("GET", other, version="2026-07-15").status_code == 404
    taken = api.call("DELETE", first, version="2026-07-15")
    assert taken.status_code == 204
    assert api.http.post("/agent/v1/challenge", json={"vmId": VM}).json()["error"]["code"] == "MachineNotRegistered"
