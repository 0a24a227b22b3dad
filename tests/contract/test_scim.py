"""The conformance checks of scim2-tester against the running server, as a directory with a client's secret."""

from __future__ import annotations

import ssl
from collections import Counter

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from isthmus.identity import clients, secrets
from isthmus.identity.roles import PROVISIONER
from tests.contract.server import Server, give

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def provisioner(server: Server) -> str:
    """A bearer token for a directory: a client with the narrow role, as `<client id>.<secret>`."""
    engine = server.app.engine
    with engine.store.begin() as connection:
        made = clients.create_client(connection, name="directory", clock=engine.clock)
        text = secrets.add_secret(connection, made.client_id, clock=engine.clock, lifetime=86_400).text
    give(server.app, made.object_id, PROVISIONER.id, "/")
    return f"{made.client_id}.{text}"


def test_every_conformance_check_passes(server: Server, provisioner: str) -> None:
    trusted = ssl.create_default_context(cafile=str(server.ca))
    headers = {"Authorization": f"Bearer {provisioner}"}
    with httpx2.Client(base_url=f"{server.url}/scim/v2/", headers=headers, verify=trusted, timeout=60) as http:
        results = check_server(SyncSCIMClient(http))
    counted = Counter(result.status for result in results)
    unhappy = [f"{one.status.name} {one.resource_type} {one.title}: {one.reason}" for one in results if one.status is not Status.SUCCESS]
    print(dict(counted))  # noqa: T201 - the figure to keep an eye on
    assert not unhappy, "\n".join(unhappy)
    assert counted[Status.SUCCESS] > 100
