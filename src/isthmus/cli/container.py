"""`isthmus subscription` and `isthmus group`: what resources lie in."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from isthmus.cli.nouns import Location, Sure, Tags, groups_known, new_app, remove, tags_of
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

subscriptions = new_app("Subscriptions.")
groups = new_app("Resource groups.")

KNOWN = {"name": groups_known}
COLUMNS = {"NAME": "name", "LOCATION": "location", "STATE": "properties.provisioningState"}
GroupName = Annotated[str, typer.Argument(help="Name of the resource group.")]


@verb(subscriptions, "list", examples={"subscription list": "See them"})
def list_subscriptions(session: Session) -> None:
    """List the subscriptions that you may see."""
    columns = {"NAME": "displayName", "ID": "subscriptionId", "STATE": "state"}
    print_list(session.client.list("/subscriptions"), columns, session.output)


@verb(subscriptions, "create", examples={"subscription create Laboratory": "Make one"})
def create_subscription(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name for people.")],
    *,
    id: Annotated[str, typer.Option("--id", help="Its GUID. Empty: a random one.")] = "",
) -> None:
    """Make a subscription."""
    answer = session.client.put(f"/subscriptions/{id or uuid.uuid4()}", {"properties": {"displayName": name}})
    print_item(answer.body, session.output)


@verb(groups, "list", examples={"group list": "See them"})
def list_groups(session: Session) -> None:
    """List resource groups."""
    print_list(session.client.list(f"{session.root}/resourceGroups"), COLUMNS, session.output)


@verb(groups, "show", examples={"group show isthmus": "See its tags and state"}, complete=KNOWN)
def show_group(session: Session, name: GroupName) -> None:
    """Show a resource group."""
    print_item(session.client.get(f"{session.root}/resourceGroups/{name}"), session.output, COLUMNS)


@verb(groups, "create", examples={"group create servers --location westeurope --tag team=core": "Make one"})
def create_group(session: Session, name: GroupName, *, location: Location = "eastus", tag: Tags = []) -> None:  # noqa: B006
    """Make a resource group."""
    answer = session.client.put(f"{session.root}/resourceGroups/{name}", {"location": location, "tags": tags_of(tag)})
    print_item(answer.body, session.output, COLUMNS)


@verb(groups, "delete", examples={"group delete servers": "Delete it and what it holds, after a question"}, complete=KNOWN)
def delete_group(session: Session, name: GroupName, *, yes: Sure = False) -> None:
    """Delete a resource group with everything in it."""
    remove(session, f"{session.root}/resourceGroups/{name}", yes=yes)
