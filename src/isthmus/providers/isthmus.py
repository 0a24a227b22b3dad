"""Our own namespaces: Isthmus.Identity (clients, sign-in links) here, and what is only read in `history`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource, instant
from isthmus.arm.errors import ArmError, conflict
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.engine import Engine
from isthmus.identity import clients, federation, links, secrets
from isthmus.keys import OPERATOR
from isthmus.providers import history
from isthmus.providers.authorization import ASSIGNMENTS, assignments_of
from isthmus.providers.bodies import Body, read
from isthmus.providers.history import VERSIONS

CLIENTS = "Isthmus.Identity/clients"
_TENANT = frozenset({Scope.TENANT})


class NewClient(Body):
    """Body of the creation of a client."""

    name: str
    clientId: str = ""
    publicKey: str | None = None


class NewSecret(Body):
    """Body of `addSecret`."""

    days: int = 90


class NewFederation(Body):
    """Body of `addFederatedCredential`."""

    issuer: str
    subject: str
    audience: str = federation.DEFAULT_AUDIENCE
    jwks: dict[str, Any] | None = None


class Named(Body):
    """Body of the removal of a secret or federated credential."""

    id: str


def rows(engine: Engine, public_url: str) -> tuple[ResourceType, ...]:
    """The rows of these namespaces."""
    directory = Directory(engine=engine, public_url=public_url)
    return (*directory.rows(), *history.rows(engine))


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Clients and sign-in links. Whoever may give roles may make identities, nobody else: an identity may hold any role. Links are made by
    the owner of the data folder alone: nobody could tell who uses one, so it must not be an owner of whom roles and approvals are known."""

    engine: Engine
    public_url: str

    def rows(self) -> tuple[ResourceType, ...]:
        """Both types."""
        actions = (
            ("clients", self._create),
            ("addSecret", self._add_secret),
            ("removeSecret", self._remove_secret),
            ("addFederatedCredential", self._add_federated),
            ("removeFederatedCredential", self._remove_federated),
            ("remove", self._remove),
        )
        return (
            ResourceType(
                name=CLIENTS,
                scopes=_TENANT,
                versions=VERSIONS,
                enumerate=self._list,
                read=self._read,
                actions=tuple(Action(name=name, act=self._guarded(act), needs_resource=False) for name, act in actions),
            ),
            ResourceType(
                name="Isthmus.Identity/signInLinks",
                scopes=_TENANT,
                versions=VERSIONS,
                actions=(Action(name="signInLinks", act=self._guarded(self._link), needs_resource=False),),
            ),
        )

    def _guarded(self, act: Callable[[Connection, Ask], Mapping[str, Any] | None]) -> Callable[[Resource | None, Ask], Answer]:
        def guarded(_resource: Resource | None, ask: Ask) -> Answer:
            if not ask.permits("Microsoft.Authorization/roleAssignments/write", "/"):
                raise ArmError("AuthorizationFailed", "Only an owner of the tenant ('/') manages identities.", status=403)
            with self.engine.store.begin() as connection:
                body = act(connection, ask)
                self.engine.apply_within(connection, Change(), ask.actor, f"Isthmus.Identity/{act.__name__.strip('_')}", str(ask.id))
            return Answer(status=200 if body is not None else 204, body=body)

        return guarded

    def _create(self, connection: Connection, ask: Ask) -> Mapping[str, Any]:
        asked = read(NewClient, ask.body)
        made = clients.create_client(
            connection,
            name=asked.name,
            clock=self.engine.clock,
            client_id=asked.clientId,
            public_key=asked.publicKey,
            identifier=ask.new_guid,
        )
        return _show_client(made)

    def _add_secret(self, connection: Connection, ask: Ask) -> Mapping[str, Any]:
        _keep_operator(ask)
        asked = read(NewSecret, ask.body or {})
        made = secrets.add_secret(connection, ask.id.name, clock=self.engine.clock, lifetime=asked.days * 86_400)
        return {"id": made.id, "secret": made.text, "expiresAt": instant(made.expires_at), "note": "Shown once; only a hash is kept."}

    def _remove_secret(self, connection: Connection, ask: Ask) -> None:
        secrets.remove_secret(connection, ask.id.name, read(Named, ask.body).id)

    def _add_federated(self, connection: Connection, ask: Ask) -> Mapping[str, Any]:
        _keep_operator(ask)
        asked = read(NewFederation, ask.body)
        made = federation.add_federated(
            connection,
            ask.id.name,
            issuer=asked.issuer,
            subject=asked.subject,
            audience=asked.audience,
            jwks=asked.jwks,
            identifier=ask.new_guid,
        )
        return {"id": made.id, "issuer": made.issuer, "subject": made.subject, "audience": made.audience}

    def _remove_federated(self, connection: Connection, ask: Ask) -> None:
        federation.remove_federated(connection, ask.id.name, read(Named, ask.body).id)

    def _remove(self, connection: Connection, ask: Ask) -> None:
        """With its role assignments: nobody else shall ever stand behind that object id."""
        gone = clients.get_client(connection, ask.id.name)
        if gone.client_id == OPERATOR:
            raise conflict(
                "The operator is how the owner of the data folder signs in with the command line; it cannot be removed.",
                target=OPERATOR,
                code="OperatorCannotBeRemoved",
            )
        roles = assignments_of(connection, gone.object_id)
        if roles:
            change = Change(deletes=tuple(roles))
            self.engine.apply_within(connection, change, ask.actor, f"{ASSIGNMENTS}/delete", str(ask.id))
        clients.delete_client(connection, ask.id.name)

    def _link(self, connection: Connection, ask: Ask) -> Mapping[str, Any]:
        if ask.actor.id != clients.get_client(connection, OPERATOR).object_id:
            raise ArmError(
                "AuthorizationFailed",
                "Sign-in links are made by the owner of the data folder alone: whoever uses one becomes administrator, and nobody could "
                "tell which person that is. On the computer of the control plane, run: isthmus login --link.",
                status=403,
            )
        code = links.make(connection, self.engine.clock, by=ask.actor.id)
        return {"url": f"{self.public_url}/sign-in#{code}", "validSeconds": links.LIFETIME}

    def _list(self, _ask: Ask) -> Iterable[Mapping[str, Any]]:
        with self.engine.store.read() as connection:
            found = clients.list_clients(connection)
        return sorted((_show_client(client) for client in found), key=lambda body: str(body["id"]).lower())

    def _read(self, ask: Ask) -> Mapping[str, Any]:
        with self.engine.store.read() as connection:
            body = _show_client(clients.get_client(connection, ask.id.name))
            body["properties"]["secrets"] = [
                {"id": one.id, "hint": one.hint, "expiresAt": instant(one.expires_at)}
                for one in secrets.list_secrets(connection, ask.id.name)
            ]
            body["properties"]["federatedCredentials"] = [
                {"id": one.id, "issuer": one.issuer, "subject": one.subject, "audience": one.audience}
                for one in federation.list_federated(connection, ask.id.name)
            ]
        return body


def _keep_operator(ask: Ask) -> None:
    """ArmError 409 `OperatorHasItsKey`: what another owner adds to the operator would let them be the owner of the data folder."""
    if ask.id.name == OPERATOR:
        raise conflict(
            "The operator proves itself by the key in the data folder and by nothing else. Make another client: isthmus client create.",
            target=OPERATOR,
            code="OperatorHasItsKey",
        )


def _show_client(client: clients.Client) -> dict[str, Any]:
    return {
        "id": f"/providers/{CLIENTS}/{client.client_id}",
        "name": client.client_id,
        "type": CLIENTS,
        "properties": {
            "clientId": client.client_id,
            "objectId": client.object_id,
            "displayName": client.name,
            "createdAt": instant(client.created_at),
            "signsAssertions": client.public_key is not None,
        },
    }
