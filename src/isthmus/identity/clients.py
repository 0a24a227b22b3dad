"""Clients (service principals): who may ask for tokens without being a person or a machine.

Functions over the caller's connection, so that the engine can write its audit record in the same transaction.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from isthmus.arm.errors import ArmError, conflict, invalid
from isthmus.identity.jws import key_of_pem
from isthmus.keys import OPERATOR
from isthmus.store.dialect import insert_new
from isthmus.store.tables import client_secrets, clients, federated_credentials

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """An application. `object_id` is what role assignments name, `public_key` PEM for private_key_jwt, `created_at` milliseconds."""

    client_id: str
    object_id: str
    name: str
    created_at: int
    public_key: str | None


def random_id() -> str:
    """A random UUID."""
    return str(uuid.uuid4())


def create_client(
    connection: Connection,
    *,
    name: str,
    clock: Callable[[], float],
    client_id: str = "",
    public_key: str | None = None,
    identifier: Callable[[], str] = random_id,
) -> Client:
    """Register a client; its id is minted unless given. ArmError 400 for unusable input, 409 `ClientExists` when the id is taken."""
    made = Client(
        client_id=client_id or identifier(),
        object_id=identifier(),
        name=name.strip(),
        created_at=int(clock() * 1000),
        public_key=_checked(public_key),
    )
    if not is_client_id(made.client_id):
        raise invalid("A client id has 1 to 128 letters, digits, dots, hyphens and underscores, and begins with a letter or digit.")
    if not 0 < len(made.name) <= 256 or not made.name.isprintable():
        raise invalid("The name of a client has 1 to 256 printable characters.", target="name")
    row = {field: getattr(made, field) for field in ("client_id", "object_id", "name", "created_at", "public_key")}
    if not insert_new(connection, clients, row):
        raise conflict(f"A client '{made.client_id}' exists already.", target=made.client_id, code="ClientExists")
    return made


def register_operator(connection: Connection, public_key: str, clock: Callable[[], float]) -> Client:
    """The client `operator` with this key (PEM): made at first start. Another key replaces it, the object id stays. The key is all by which
    it proves itself: secrets and trust that owners once added go."""
    present = find_client(connection, OPERATOR)
    if present is None:
        return create_client(connection, name="Operator of this installation", clock=clock, client_id=OPERATOR, public_key=public_key)
    if present.public_key != public_key:
        set_public_key(connection, OPERATOR, public_key)
    for table in (client_secrets, federated_credentials):
        connection.execute(delete(table).where(table.c.client_id == OPERATOR))
    return get_client(connection, OPERATOR)


def find_client(connection: Connection, client_id: str) -> Client | None:
    """The client of this id, exactly as written, or None."""
    if not is_client_id(client_id):
        return None
    row = connection.execute(select(clients).where(clients.c.client_id == client_id)).mappings().one_or_none()
    return None if row is None else Client(**row)


def is_client(connection: Connection, object_id: str) -> bool:
    """Whether an object id is an application's."""
    return connection.execute(select(clients.c.client_id).where(clients.c.object_id == object_id).limit(1)).first() is not None


def get_client(connection: Connection, client_id: str) -> Client:
    """The client of this id; ArmError 404 `ClientNotFound`."""
    found = find_client(connection, client_id)
    if found is None:
        raise ArmError("ClientNotFound", f"There is no client '{client_id[:128]}'.", status=404, target=client_id[:128])
    return found


def list_clients(connection: Connection) -> list[Client]:
    """All clients by id."""
    return [Client(**row) for row in connection.execute(select(clients).order_by(clients.c.client_id)).mappings()]


def set_public_key(connection: Connection, client_id: str, public_key: str | None) -> None:
    """Replace the key with which the client signs its assertions; None removes it."""
    get_client(connection, client_id)
    connection.execute(update(clients).where(clients.c.client_id == client_id).values(public_key=_checked(public_key)))


def delete_client(connection: Connection, client_id: str) -> None:
    """Remove a client with its secrets and federated credentials; ArmError 404 when there is none. Tokens it holds live out their hour."""
    get_client(connection, client_id)
    for table in (client_secrets, federated_credentials, clients):
        connection.execute(delete(table).where(table.c.client_id == client_id))


def is_client_id(text: str) -> bool:
    """Whether this could be a client id; anything else never reaches the database."""
    return _CLIENT_ID.fullmatch(text) is not None


def _checked(public_key: str | None) -> str | None:
    if public_key is not None:
        try:
            key_of_pem(public_key)
        except (ValueError, TypeError) as error:
            raise invalid("The public key must be PEM (SubjectPublicKeyInfo) of an RSA key with at least 2048 bits.") from error
    return public_key
