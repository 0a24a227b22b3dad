"""The real application in process, on both databases: no cloud behind it, jobs that run when a test says so, tokens from the endpoint."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.app import Application, build
from isthmus.keys import operator_assertion
from isthmus.settings import Settings

PORT = 8443
VERSION = "2024-12-01"


class Api:
    """A caller of the application. `call` sends one request as the operator unless `token` says otherwise."""

    def __init__(self, app: Application, data: Path) -> None:
        self.app = app
        self.data = data
        self.http = httpx.Client(transport=_Bridge(app), base_url=app.public_url)
        self.tenant, self.subscription = app.installation.tenant, app.installation.subscription
        self.token = self.sign_in()
        self._names = itertools.count(1)

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.app.public_url}/{self.tenant}/oauth2/v2.0/token"

    def sign_in(self) -> str:
        """A token of the operator."""
        assertion = operator_assertion(self.data / "keys", audience=self.token_url, clock=self.app.engine.clock)
        form = {
            "grant_type": "client_credentials",
            "client_id": "operator",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            "scope": f"{self.app.public_url}/.default",
        }
        answer = self.http.post(self.token_url, data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def call(
        self, method: str, path: str, body: Any = None, *, version: str = VERSION, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """One request; `path` may carry a query, the api-version is added unless it is empty."""
        joined = path + (("&" if "?" in path else "?") + f"api-version={version}" if version else "")
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"} | more.pop("headers", {})
        return (
            self.http.request(method, joined, json=body, headers=headers, **more)
            if body is not None
            else self.http.request(method, joined, headers=headers, **more)
        )

    def client(self, role: str | None, scope: str = "/") -> str:
        """The token of a new application with a role at a scope."""
        made = self.call("POST", "/providers/Isthmus.Identity/clients", {"name": "test"}, version="2026-11-01").json()
        id = made["properties"]["clientId"]
        secret = self.call("POST", f"/providers/Isthmus.Identity/clients/{id}/addSecret", {"days": 1}, version="2026-11-01").json()[
            "secret"
        ]
        if role:
            base = "" if scope == "/" else scope
            body = {"properties": {"roleDefinitionId": role, "principalId": made["properties"]["objectId"]}}
            answer = self.call("PUT", f"{base}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", body)
            assert answer.status_code == 201, answer.text
        form = {"grant_type": "client_credentials", "client_id": id, "client_secret": secret, "scope": f"{self.app.public_url}/.default"}
        return str(self.http.post(self.token_url, data=form).json()["access_token"])

    def finish(self, poll: str) -> httpx.Response:
        """Let ordered jobs run until the operation behind a poll URL has ended; its last answer."""
        self.app.work.launch()
        try:
            until = time.monotonic() + 60
            while (answer := self.call("GET", poll, version="")).status_code == 202:
                assert time.monotonic() < until, "the operation does not end"
                time.sleep(0.05)
            return answer
        finally:
            self.app.work.stop()

    def group(self, name: str = "") -> str:
        """The id of a new resource group."""
        id = f"/subscriptions/{self.subscription}/resourceGroups/{name or f'rg{next(self._names)}'}"
        assert self.call("PUT", id, {"location": "eastus"}).status_code == 201
        return id

    def connector(self, account: str = "123456789012", group: str = "", name: str = "conn") -> str:
        """The id of a new connector."""
        id = f"{group or self.group()}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/{name}"
        body = {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": account}}}
        answer = self.call("PUT", id, body)
        assert answer.status_code == 200, answer.text
        return id


class _Bridge(httpx.BaseTransport):
    """Runs the ASGI application for each request of a synchronous client, on a loop that the first thread keeps."""

    def __init__(self, app: Application) -> None:
        self._inner = httpx.ASGITransport(app=app.asgi, raise_app_exceptions=False)
        self._loop, self._owner = asyncio.Runner(), threading.get_ident()

    def close(self) -> None:
        self._loop.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> tuple[int, httpx.Headers, bytes]:
            answer = await self._inner.handle_async_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            )
            return answer.status_code, answer.headers, await answer.aread()

        status, headers, content = self._loop.run(send()) if threading.get_ident() == self._owner else asyncio.run(send())
        return httpx.Response(status, headers=headers, content=content, request=request)


@pytest.fixture(scope="session")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys as a first start makes them, to be copied: RSA keys take most of a start."""
    data = tmp_path_factory.mktemp("keys") / "data"
    build(Settings(data=data), port=PORT, environ={}).close()
    return data / "keys"


@pytest.fixture
def api(database_url: str, tmp_path: Path, made_keys: Path) -> Iterator[Api]:
    """The application on a fresh database."""
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    app = build(Settings(data=tmp_path / "data", database_url=database_url), port=PORT, environ={})
    caller = Api(app, tmp_path / "data")
    yield caller
    caller.http.close()
    app.close()
