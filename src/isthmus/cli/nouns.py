"""Nouns of the command line: one record gives `list`, `show`, `create` and `delete`; special verbs are functions beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.cli.output import Column, print_item, print_list
from isthmus.cli.session import Session, verb

Group = Annotated[str, typer.Option("--group", "-g", help="Resource group. Empty: all of the subscription.")]
NewGroup = Annotated[str, typer.Option("--group", "-g", help="Resource group; made when it is missing.")]
Location = Annotated[str, typer.Option("--location", help="Location, as Azure names it.")]
Tags = Annotated[list[str], typer.Option("--tag", help="Tag as name=value; may be repeated.")]
Sure = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Name = Annotated[str, typer.Argument(help="Name, or full id.")]
Host = Annotated[str, typer.Option("--connector", "-c", help="Connector, by name or full id.")]


class Place(Enum):
    """Where a noun's resources lie."""

    GROUP = "group"
    CONNECTOR = "connector"


@dataclass(frozen=True, kw_only=True, slots=True)
class Noun:
    """One noun: its word, its ARM type, where it lies, and the columns of its table."""

    word: str
    type: str
    help: str
    columns: Mapping[str, Column]
    place: Place = Place.GROUP


def group_of(item: Mapping[str, Any]) -> str:
    """The resource group of a resource."""
    return parse_resource(item["id"]).group


CONNECTOR = Noun(
    word="connector",
    type="Microsoft.HybridConnectivity/publicCloudConnectors",
    help="AWS accounts that are connected.",
    columns={
        "NAME": "name",
        "ACCOUNT": "properties.awsCloudProfile.accountId",
        "GROUP": group_of,
        "LOCATION": "location",
        "IDENTIFIER": "properties.connectorPrimaryIdentifier",
    },
)
SOLUTION = Noun(
    word="solution",
    type="Microsoft.HybridConnectivity/solutionConfigurations",
    help="What a connector does: inventory, onboarding.",
    place=Place.CONNECTOR,
    columns={
        "NAME": "name",
        "TYPE": "properties.solutionType",
        "STATUS": "properties.status",
        "LAST SYNC": "properties.lastSyncTime",
        "DETAILS": "properties.statusDetails",
    },
)
MACHINE = Noun(
    word="machine",
    type="Microsoft.HybridCompute/machines",
    help="EC2 instances that became machines.",
    columns={
        "NAME": "name",
        "GROUP": group_of,
        "LOCATION": "location",
        "STATUS": "properties.status",
        "OS": "properties.osSku",
        "AGENT": "properties.agentVersion",
        "LAST CHANGE": "properties.lastStatusChange",
    },
)


def new_app(help: str) -> typer.Typer:
    """An empty group of commands."""
    return typer.Typer(help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def app_of(noun: Noun, *, create: bool = True) -> typer.Typer:
    """The commands of a noun. A noun with a `create` of its own leaves the general one out."""
    app = new_app(noun.help)
    if noun.place is Place.CONNECTOR:
        _add_hosted(app, noun)
    else:
        _add_grouped(app, noun)
    if create:
        _add_create(app, noun)
    return app


def _add_grouped(app: typer.Typer, noun: Noun) -> None:
    @verb(app, "list")
    def listing(session: Session, *, group: Group = "") -> None:
        """List them."""
        print_list(session.client.list(collection(session, noun, group)), noun.columns, session.output)

    @verb(app, "show")
    def show(session: Session, name: Name, *, group: Group = "") -> None:
        """Show one."""
        print_item(session.client.get(find(session, noun, name, group)), session.output)

    @verb(app, "delete")
    def delete(session: Session, name: Name, *, group: Group = "", yes: Sure = False) -> None:
        """Delete one."""
        remove(session, find(session, noun, name, group), yes=yes)


def _add_hosted(app: typer.Typer, noun: Noun) -> None:
    @verb(app, "list")
    def listing(session: Session, *, connector: Host) -> None:
        """List them."""
        print_list(session.client.list(f"{find(session, CONNECTOR, connector)}/providers/{noun.type}"), noun.columns, session.output)

    @verb(app, "show")
    def show(session: Session, name: Name, *, connector: Host = "") -> None:
        """Show one."""
        print_item(session.client.get(hosted(session, noun, name, connector)), session.output)

    @verb(app, "delete")
    def delete(session: Session, name: Name, *, connector: Host = "", yes: Sure = False) -> None:
        """Delete one."""
        remove(session, hosted(session, noun, name, connector), yes=yes)


def _add_create(app: typer.Typer, noun: Noun) -> None:
    @verb(app, "create")
    def create(
        session: Session,
        name: Name,
        *,
        group: NewGroup,
        location: Location = "eastus",
        tag: Tags = [],  # noqa: B006 - Typer copies defaults
        file: Annotated[Path | None, typer.Option("--file", help="JSON file with the properties.")] = None,
    ) -> None:
        """Create or replace one from a file with its properties."""
        body = {"location": location, "tags": tags_of(tag), "properties": read_json(file) if file else {}}
        with in_group(session, group, location):
            answer = session.client.put(f"{session.root}/resourceGroups/{group}/providers/{noun.type}/{name}", body)
            session.client.wait(answer)
        print_item(answer.body, session.output)


def collection(session: Session, noun: Noun, group: str = "") -> str:
    """The collection of a noun in a group, or in the whole subscription."""
    return f"{session.root}{f'/resourceGroups/{group}' if group else ''}/providers/{noun.type}"


def find(session: Session, noun: Noun, name: str, group: str = "") -> str:
    """The id behind a name: a full id as it is, a name within a group, or the only one of that name in the subscription."""
    if name.startswith("/"):
        return str(parse_resource(name))
    if group:
        return str(parse_resource(f"{collection(session, noun, group)}/{name}"))
    quoted = name.replace("'", "''")
    found = list(session.client.list(collection(session, noun), query={"$filter": f"name eq '{quoted}'"}))
    if len(found) == 1:
        return str(found[0]["id"])
    if found:
        groups = ", ".join(sorted(group_of(one) for one in found))
        raise ArmError("NameNotUnique", f"There are {len(found)} of the name '{name}', in the groups {groups}. Choose with --group.")
    raise ArmError(
        "ResourceNotFound", f"There is no {noun.word} '{name}' in this subscription. List them with 'isthmus {noun.word} list'.", status=404
    )


def hosted(session: Session, noun: Noun, name: str, connector: str) -> str:
    """The id of something that a connector has: a full id, or a name with its connector."""
    if name.startswith("/"):
        return str(parse_resource(name))
    if not connector:
        raise ArmError("ConnectorNotNamed", f"Say of which connector '{name}' is a {noun.word}: --connector NAME.", target="connector")
    return str(parse_resource(f"{find(session, CONNECTOR, connector)}/providers/{noun.type}/{name}"))


def remove(session: Session, id: str, *, yes: bool) -> None:
    """Ask, delete, wait for the end, say so."""
    if not yes and not typer.confirm(f"Delete {id}?", err=True):
        raise typer.Exit(1)
    answer = session.client.delete(id)
    with session.progress(f"Deleting {id}"):
        session.client.wait(answer)
    session.say("There was nothing to delete." if answer.status == 204 and not _deletes_with_204(id) else f"Deleted {id}.")


def _deletes_with_204(id: str) -> bool:
    """Machines answer 204 also when there was one (Microsoft.HybridCompute's contract)."""
    return parse_resource(id).type.lower() == MACHINE.type.lower()


@contextmanager
def in_group(session: Session, group: str, location: str) -> Iterator[None]:
    """Make the resource group if it is missing, and say so; a group made for something that then fails is removed again."""
    path = f"{session.root}/resourceGroups/{group}"
    made = False
    try:
        session.client.get(path)
    except ArmError as error:
        if error.code != "ResourceGroupNotFound":
            raise
        session.client.put(path, {"location": location})
        made = True
    try:
        yield
    except ArmError:
        if made:
            session.client.delete(path)
        raise
    if made:
        session.say(f"Made resource group '{group}' in {location}.")


def tags_of(given: list[str]) -> dict[str, str]:
    """`name=value` entries as tags."""
    return dict(pair(entry, "--tag") for entry in given)


def pair(text: str, option: str) -> tuple[str, str]:
    """`name=value` as two parts; wrong usage otherwise."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"'{text}' must look like name=value.", param_hint=option)
    return name, value


def read_json(file: Path) -> Any:
    """The content of a JSON file; ArmError `UnreadableFile`."""
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ArmError("UnreadableFile", f"'{file}' does not hold JSON: {error}.", target=str(file)) from error


def rows_of(session: Session, path: str) -> Iterator[dict[str, Any]]:
    """A whole collection in large pages."""
    return session.client.list(path, query={"$top": "1000"})
