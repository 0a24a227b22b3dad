"""`isthmus client`: programs that may sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.completion import members, offering
from isthmus.cli.formats import Output
from isthmus.cli.nouns import Sure, new_app, read_json
from isthmus.cli.output import clean, print_item, print_list
from isthmus.cli.session import Session, verb

app = new_app("Programs that may sign in.")

CLIENTS = "/providers/Isthmus.Identity/clients"
Id = Annotated[str, typer.Argument(help="Id of the client.")]
KNOWN = {"id": offering(members(CLIENTS))}
COLUMNS = {
    "ID": "name",
    "NAME": "properties.displayName",
    "OBJECT ID": "properties.objectId",
    "CREATED": "properties.createdAt",
}


@verb(
    app,
    "create",
    examples={
        "client create 'Nightly export'": "Register a program",
        "client create Robot --id robot --public-key robot.pem": "One that signs with a key of its own",
    },
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name for people.")],
    *,
    id: Annotated[str, typer.Option("--id", help="Client id. Empty: a random one.")] = "",
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="PEM file; the client signs its assertions with this key.")
    ] = None,
) -> None:
    """Register a client. It may do nothing until it is given a role."""
    body: dict[str, str] = {"name": name}
    if id:
        body["clientId"] = id
    if public_key is not None:
        body["publicKey"] = public_key.read_text()
    made = session.client.post(CLIENTS, body).body
    print_item(made, session.output, COLUMNS)
    session.say(
        f"Next: isthmus client federate {made['name']} … (or client secret), and isthmus role assign --principal {made['name']} --role …"
    )


@verb(app, "list", examples={"client list": "See them"})
def listing(session: Session) -> None:
    """List clients."""
    print_list(session.client.list(CLIENTS), COLUMNS, session.output)


@verb(app, "show", examples={"client show robot": "See what proves it"}, complete=KNOWN)
def show(session: Session, id: Id) -> None:
    """Show a client with its secrets (hints only) and the issuers it trusts."""
    print_item(session.client.get(f"{CLIENTS}/{id}"), session.output, COLUMNS)


@verb(
    app,
    "secret",
    examples={
        "client secret robot --days 30": "Make a secret for 30 days",
        "client secret robot --remove 3fd2a8c1": "Remove one",
    },
    complete=KNOWN,
)
def secret(
    session: Session,
    id: Id,
    *,
    days: Annotated[int, typer.Option("--days", help="Days for which it is valid.")] = 90,
    remove: Annotated[str, typer.Option("--remove", help="Remove the secret with this id instead.")] = "",
) -> None:
    """Make a secret and print it once; better is 'client federate', which has none."""
    if remove:
        session.client.post(f"{CLIENTS}/{id}/removeSecret", {"id": remove})
        session.say(f"Removed secret {remove}.")
        return
    made = session.client.post(f"{CLIENTS}/{id}/addSecret", {"days": days}).body
    if session.output is not Output.TABLE:
        print_item(made, session.output)
        return
    session.say(f"Secret {made['id']}, valid until {made['expiresAt']}. It is shown this once; only a hash is kept.")
    typer.echo(clean(made["secret"]))


@verb(
    app,
    "federate",
    examples={
        "client federate robot --issuer https://token.actions.githubusercontent.com --subject repo:acme/estate:ref:refs/heads/main": (
            "Let a GitHub workflow sign in"
        ),
        "client federate robot --remove 3fd2a8c1": "Stop accepting it",
    },
    complete=KNOWN,
)
def federate(
    session: Session,
    id: Id,
    *,
    issuer: Annotated[str, typer.Option("--issuer", help="https URL of the issuer whose tokens are accepted.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Subject, compared exactly.")] = "",
    audience: Annotated[str, typer.Option("--audience", help="Audience. Empty: api://AzureADTokenExchange.")] = "",
    jwks: Annotated[Path | None, typer.Option("--jwks", help="JSON file with the issuer's keys, for one that publishes none.")] = None,
    remove: Annotated[str, typer.Option("--remove", help="Remove the federated credential with this id instead.")] = "",
) -> None:
    """Accept tokens of another issuer instead of a secret."""
    if remove:
        session.client.post(f"{CLIENTS}/{id}/removeFederatedCredential", {"id": remove})
        session.say(f"Removed federated credential {remove}.")
        return
    if not issuer or not subject:
        raise typer.BadParameter("both are needed.", param_hint="--issuer, --subject")
    body = (
        {"issuer": issuer, "subject": subject} | ({"audience": audience} if audience else {}) | ({"jwks": read_json(jwks)} if jwks else {})
    )
    print_item(session.client.post(f"{CLIENTS}/{id}/addFederatedCredential", body).body, session.output)


@verb(app, "remove", examples={"client remove robot": "Remove it after a question"}, complete=KNOWN)
def remove(session: Session, id: Id, *, yes: Sure = False) -> None:
    """Remove a client with all that proves it."""
    if not yes and not typer.confirm(clean(f"Remove client {id}?"), err=True):
        raise typer.Exit(1)
    session.client.post(f"{CLIENTS}/{id}/remove")
    session.say(f"Removed client {id}.")
