"""One server per file of tests, with an AWS behind it whose account has not deployed the template."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.mgmt.hybridcompute import HybridComputeManagementClient
from azure.mgmt.hybridconnectivity import HybridConnectivityMgmtClient
from azure.mgmt.resource.resources import ResourceManagementClient

from tests.contract.server import Server, denying_aws, serving
from tests.support.databases import Databases


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def served_database(request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a fresh database for a whole file of tests, on SQLite and then on PostgreSQL."""
    if request.param == "sqlite":
        yield databases.fresh_sqlite(tmp_path_factory.mktemp("database") / "isthmus.db")
        return
    url = databases.fresh_postgresql(request.getfixturevalue("postgres"))
    yield url
    databases.clear(url)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, served_database: str) -> Iterator[Server]:
    """The running server."""
    with denying_aws() as aws, serving(tmp_path_factory.mktemp("server") / "data", served_database, aws) as served:
        yield served


@pytest.fixture(scope="module")
def resources(server: Server) -> ResourceManagementClient:
    """azure-mgmt-resource as the owner."""
    return server.resources()


@pytest.fixture(scope="module")
def compute(server: Server) -> HybridComputeManagementClient:
    """azure-mgmt-hybridcompute as the owner."""
    return server.compute()


@pytest.fixture(scope="module", params=["2024-12-01", "2027-01-01"])
def connectivity(server: Server, request: pytest.FixtureRequest) -> HybridConnectivityMgmtClient:
    """azure-mgmt-hybridconnectivity as the owner, in both stable versions; the second is its own default."""
    client = server.connectivity() if request.param == "2027-01-01" else server.connectivity(api_version=request.param)
    assert client._config.api_version == request.param
    return client


@pytest.fixture
def group(server: Server) -> str:
    """The name of a new resource group."""
    return server.group()
