"""What pages show, written into the store of a served portal as work would leave it."""

from __future__ import annotations

import ssl
import uuid
from typing import Any

import httpx
import orjson
from sqlalchemy import insert, update

from isthmus.store.tables import operations
from tests.portal.conftest import Site


class Caller:
    """The site's API as seeds of the API's tests call it."""

    def __init__(self, site: Site) -> None:
        self.app = site.server.app
        self.subscription = site.server.subscription
        self._site = site

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request as the administrator."""
        assert method == "PUT"
        return httpx.Response(self._site.client.put(path, body).status)


def group(site: Site, name: str) -> str:
    """The id of a resource group, made when it is missing."""
    id = f"{site.root}/resourceGroups/{name}"
    site.client.put(id, {"location": "eastus"})
    return id


def connector(site: Site, name: str, account: str, in_group: str = "rg") -> str:
    """The id of a new connector."""
    id = f"{group(site, in_group)}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/{name}"
    site.client.put(id, {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": account}}})
    return id


def operation(site: Site, resource: str, status: str = "Running", **more: Any) -> str:
    """The id of an operation that began a minute ago; it has ended unless it runs."""
    now = site.server.app.engine.now()
    id = str(uuid.uuid4())
    row = {
        "id": id,
        "resource": resource,
        "kind": "sync",
        "status": status,
        "started_at": now - 60_000,
        "ended_at": None if status == "Running" else now - 10_000,
        "percent": None,
        "location": "eastus",
        "subscription": site.server.subscription,
        "result": None,
        "error": None,
        "caller": site.server.app.installation.admin,
        **more,
    }
    with site.server.app.engine.store.begin() as connection:
        connection.execute(insert(operations).values(**row))
    return id


def change_operation(site: Site, id: str, **more: Any) -> None:
    """What work does to an operation."""
    with site.server.app.engine.store.begin() as connection:
        connection.execute(update(operations).where(operations.c.id == id).values(**more))


def error(code: str, message: str, *details: tuple[str, str]) -> str:
    """An error as the store keeps it."""
    body = {"code": code, "message": message, "details": [{"code": name, "message": text} for name, text in details]}
    return orjson.dumps(body).decode()


def fetch(site: Site, path: str, *, secret: str = "") -> Any:
    """A page as programs get it; as the administrator, or as whose session it is."""
    headers = {"Accept": "application/json", "Cookie": f"__Host-isthmus={secret or site.secret}"}
    answer = httpx.get(site.url + path, headers=headers, verify=ssl.create_default_context(cafile=str(site.server.ca)))
    assert answer.status_code == 200, answer.text
    return answer.json()
