"""A directory that provisions: a client with the narrow role and its secret, and what the tables hold."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
from sqlalchemy import select

from isthmus.store.tables import audit_records, directory_groups, directory_members, directory_users
from tests.api.conftest import Api

PROVISIONER = "Directory Provisioner"


class Directory:
    """Sends requests below /scim/v2 as a client with a role at the tenant."""

    def __init__(self, api: Api, role: str | None = PROVISIONER) -> None:
        self.api = api
        made = api.call("POST", "/providers/Isthmus.Identity/clients", {"name": "directory"}, version="2026-11-01").json()
        self.client_id, self.object_id = made["properties"]["clientId"], made["properties"]["objectId"]
        added = api.call(
            "POST", f"/providers/Isthmus.Identity/clients/{self.client_id}/addSecret", {"days": 1}, version="2026-11-01"
        ).json()
        self.secret = added["secret"]
        self.token = f"{self.client_id}.{self.secret}"
        if role:
            body = {"properties": {"roleDefinitionId": role, "principalId": self.object_id}}
            answer = api.call("PUT", f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", body)
            assert answer.status_code == 201, answer.text

    def send(self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any) -> httpx.Response:
        """One request; bytes are sent as they are."""
        headers = {"Content-Type": "application/scim+json"} | more.pop("headers", {})
        bearer = self.token if token is None else token
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        sent = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        return self.api.http.request(method, f"/scim/v2{path}", headers=headers, **sent, **more)

    def make(self, path: str, **body: Any) -> str:
        """The id of a new user or group."""
        answer = self.send("POST", path, body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that is stored."""
        tables = (directory_users, directory_groups, directory_members)
        with self.api.app.engine.store.read() as connection:
            return {table.name: sorted(tuple(row) for row in connection.execute(select(table))) for table in tables}

    def records(self) -> list[Any]:
        """The audit records about the directory, oldest first."""
        about = audit_records.c.action.like("Isthmus.Directory/%")
        with self.api.app.engine.store.read() as connection:
            return list(connection.execute(select(audit_records).where(about).order_by(audit_records.c.seq)))
