"""`isthmus role`: who may do what, and where."""

from __future__ import annotations

import uuid
from typing import Annotated
from urllib.parse import quote

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.access.people import find_person
from isthmus.cli.completion import fixed, members, offering
from isthmus.cli.formats import Column
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

app = new_app("Roles: Owner, Contributor, Reader, Directory Provisioner, given at a scope and effective below it.")

ASSIGNMENTS = "providers/Microsoft.Authorization/roleAssignments"
ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "b3a1c5de-2f64-4d0b-9a57-6c0e8d41f7a2": "Directory Provisioner",
}
clients_known = offering(members("/providers/Isthmus.Identity/clients"))
Scope = Annotated[str, typer.Option("--scope", help="Full id of the scope, / for the tenant. Empty: the subscription.")]

COLUMNS: dict[str, Column] = {
    "NAME": lambda item: item["properties"].get("principalName") or "",
    "PRINCIPAL": "properties.principalId",
    "ROLE": lambda item: ROLES.get(item["properties"]["roleDefinitionId"].rpartition("/")[2].lower(), "?"),
    "SCOPE": "properties.scope",
    "ID": "id",
}


@verb(
    app,
    "assign",
    examples={
        "role assign --principal robot --role Reader": "A client may read the subscription",
        "role assign --principal 6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38 --role Owner --scope /": "A person owns everything",
    },
)
def assign(
    session: Session,
    *,
    principal: Annotated[
        str,
        typer.Option(
            "--principal", help="Object id, mail address or name of a person, or the id of a client.", autocompletion=clients_known
        ),
    ],
    role: Annotated[
        str, typer.Option("--role", help="Owner, Contributor, Reader or Directory Provisioner.", autocompletion=fixed(*ROLES.values()))
    ],
    scope: Scope = "",
) -> None:
    """Give a role."""
    properties = {"principalId": _object_id(session, principal), "roleDefinitionId": role}
    path = f"{_scope(session, scope)}/{ASSIGNMENTS}/{uuid.uuid4()}"
    print_item(session.client.put(path, {"properties": properties}).body, session.output, COLUMNS)


@verb(app, "list", examples={"role list --scope /": "See who may do what", "role list --principal robot": "See what one may do"})
def listing(
    session: Session,
    *,
    scope: Scope = "",
    principal: Annotated[str, typer.Option("--principal", help="Only of this one.", autocompletion=clients_known)] = "",
) -> None:
    """List the assignments at, above and below a scope."""
    query = {"$filter": f"principalId eq '{_object_id(session, principal)}'"} if principal else None
    print_list(session.client.list(f"{_scope(session, scope)}/{ASSIGNMENTS}", query=query), COLUMNS, session.output)


@verb(
    app,
    "remove",
    examples={
        f"role remove /{ASSIGNMENTS}/0b9d6c3e-51f7-4a28-8e64-7c2f1d0a9b35": "Take back what 'role list' shows under this id",
    },
)
def remove(session: Session, id: Annotated[str, typer.Argument(help="Full id of the assignment, as 'role list' shows it.")]) -> None:
    """Take a role back."""
    if ASSIGNMENTS.lower() not in id.lower():
        raise ArmError("InvalidResourceId", f"'{id}' is not the id of a role assignment. List them: isthmus role list --scope /")
    answer = session.client.delete(id)
    session.say("There was nothing to remove." if answer.status == 204 else f"Removed {id}.")


def _scope(session: Session, given: str) -> str:
    return session.root if not given else given.rstrip("/")


def _object_id(session: Session, principal: str) -> str:
    """An object id as it is; otherwise that of the client with this id, or of the person of this mail address or name."""
    try:
        return str(uuid.UUID(principal))
    except ValueError:
        pass
    try:
        found = session.client.get(f"/providers/Isthmus.Identity/clients/{quote(principal, safe='')}")
        return str(found["properties"]["objectId"])
    except ArmError as error:
        if error.code != "ClientNotFound":
            raise
    try:
        id, name = find_person(session, principal)
    except ArmError as error:
        if error.code not in ("PersonNotFound", "AuthorizationFailed"):
            raise
        told = f"There is no client '{principal[:100]}', and nobody of that name that you may see has signed in here. "
        told += "Name people by mail address, name or object id in the directory, clients by their id: isthmus client list"
        raise ArmError("PrincipalNotFound", told, status=404, target="principal") from error
    session.say(f"'{principal}' is {name} ({id}).")
    return id
