"""The running server for real clients: HTTPS on a free port, its own CA, and an AWS that refuses everybody."""

from __future__ import annotations

import atexit
import itertools
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn
from azure.identity import ClientSecretCredential
from azure.mgmt.hybridcompute import HybridComputeManagementClient
from azure.mgmt.hybridconnectivity import HybridConnectivityMgmtClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient

from isthmus.app import Application, build
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import parse_resource
from isthmus.arm.types import Actor
from isthmus.identity import clients, secrets
from isthmus.identity.roles import OWNER
from isthmus.settings import Settings

ACTOR = Actor(id="test", kind="Application", name="Test")
_DENIED = (
    b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>'
    b"<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error><RequestId>1</RequestId></ErrorResponse>"
)


@dataclass
class Server:
    """A served application and what a client must know of it. `client_id` and `secret` are an owner's."""

    app: Application
    url: str
    ca: Path
    client_id: str
    secret: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def tenant(self) -> str:
        """The tenant."""
        return self.app.installation.tenant

    @property
    def subscription(self) -> str:
        """The default subscription."""
        return self.app.installation.subscription

    @cached_property
    def credential(self) -> ClientSecretCredential:
        """The owner's credential, as an azure-identity user makes it."""
        return ClientSecretCredential(self.tenant, self.client_id, self.secret, **self.identity_options)

    @property
    def identity_options(self) -> dict[str, Any]:
        """What azure-identity needs to find us."""
        return {"authority": self.url, "disable_instance_discovery": True, "connection_verify": str(self.ca)}

    @property
    def options(self) -> dict[str, Any]:
        """What every management client needs to find us."""
        return {
            "base_url": self.url,
            "credential_scopes": [f"{self.url}/.default"],
            "connection_verify": str(self.ca),
            "polling_interval": 1,
            "retry_total": 0,
        }

    def connectivity(self, **more: Any) -> HybridConnectivityMgmtClient:
        """azure-mgmt-hybridconnectivity."""
        return HybridConnectivityMgmtClient(self.credential, self.subscription, **self.options, **more)

    def compute(self, **more: Any) -> HybridComputeManagementClient:
        """azure-mgmt-hybridcompute."""
        return HybridComputeManagementClient(self.credential, self.subscription, **self.options, **more)

    def resources(self, credential: Any = None) -> ResourceManagementClient:
        """azure-mgmt-resource."""
        return ResourceManagementClient(credential or self.credential, self.subscription, **self.options)

    def subscriptions(self, credential: Any = None) -> SubscriptionClient:
        """azure-mgmt-resource-subscriptions."""
        return SubscriptionClient(credential or self.credential, **self.options)

    def number(self) -> int:
        """A number that no other test of this server has."""
        return next(self._numbers)

    def account(self) -> str:
        """An AWS account id that no other test has."""
        return f"{100_000_000_000 + self.number()}"

    @cached_property
    def _own_resources(self) -> ResourceManagementClient:
        return self.resources()

    def group(self, **tags: str) -> str:
        """The name of a new resource group."""
        name = f"group-{self.number()}"
        self._own_resources.resource_groups.create_or_update(name, {"location": "eastus", "tags": tags})
        return name

    def store(self, *made: Resource) -> None:
        """Write resources as a sync would."""
        self.app.engine.apply(Change(puts=made), ACTOR, "test/write", "/")


class _Denying(BaseHTTPRequestHandler):
    """STS that trusts nobody."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(403)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(_DENIED)))
        self.end_headers()
        self.wfile.write(_DENIED)

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


@contextmanager
def denying_aws() -> Iterator[str]:
    """The URL of an AWS whose account has not deployed the template."""
    aws = ThreadingHTTPServer(("127.0.0.1", 0), _Denying)
    thread = threading.Thread(target=aws.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{aws.server_address[1]}"
    finally:
        aws.shutdown()
        aws.server_close()
        thread.join()


@cache
def first_keys() -> Path:
    """Keys as a first start makes them, once for a process: RSA keys take most of a start. To be copied."""
    folder = Path(tempfile.mkdtemp(prefix="isthmus-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build(Settings(data=folder / "data"), port=8443, environ={}).close()
    return folder / "data" / "keys"


@contextmanager
def serving(data: Path, database_url: str, aws_url: str, configure: Callable[[int], dict[str, Any]] | None = None) -> Iterator[Server]:
    """A server on a free port of this machine. `configure` answers further settings, which may depend on the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        more = configure(port) if configure else {}
        if not (data / "keys").exists():
            shutil.copytree(first_keys(), data / "keys")
        app = build(Settings(data=data, database_url=database_url, **more), port=port, environ={"AWS_ENDPOINT_URL": aws_url})
        certificate = str(app.authority.server_file())
        # Clients keep connections open and never answer TLS's farewell, for which the loop would wait half a minute.
        config = uvicorn.Config(app.asgi, ssl_certfile=certificate, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.02)
        client_id, secret = _owner(app)
        try:
            yield Server(app=app, url=app.public_url, ca=app.authority.ca_path, client_id=client_id, secret=secret)
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive(), "the server did not stop"


def _owner(app: Application) -> tuple[str, str]:
    """An application with the role Owner over everything."""
    engine = app.engine
    with engine.store.begin() as connection:
        made = clients.create_client(connection, name="contract", clock=engine.clock)
        text = secrets.add_secret(connection, made.client_id, clock=engine.clock, lifetime=86_400).text
    give(app, made.object_id, OWNER.id, "/")
    return made.client_id, text


def give(app: Application, principal: str, role: str, scope: str) -> None:
    """Assign a role as the installation's first start does."""
    from_scope = "" if scope == "/" else scope
    id = parse_resource(f"{from_scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}")
    properties = {
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
        "principalId": principal,
        "principalType": "ServicePrincipal",
        "scope": scope,
    }
    made = Resource(id=id, properties=properties, unique=f"assignment:{principal}:{role}:{scope.lower()}", source=f"principal:{principal}")
    app.engine.apply(Change(puts=(made,)), ACTOR, "test/write", "/")
