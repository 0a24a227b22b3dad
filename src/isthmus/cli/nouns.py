"""Nouns of the command line: one record gives `list`, `show`, `create` and `delete`; special verbs are functions beside it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.cli.completion import Completer, members, offering
from isthmus.cli.formats import Column
from isthmus.cli.output import clean, print_item
from isthmus.cli.session import Session, verb
from isthmus.cli.watch import Interval, Sight, Watch, list_of, present

_CONNECTORS = "Microsoft.HybridConnectivity/publicCloudConnectors"
groups_known = offering(members("resourceGroups"))
connectors_known = offering(members(f"providers/{_CONNECTORS}"))
subscriptions_known = offering(members("/subscriptions", "displayName"))

Group = Annotated[str, typer.Option("--group", "-g", help="Resource group. Empty: all of the subscription.", autocompletion=groups_known)]
NewGroup = Annotated[str, typer.Option("--group", "-g", help="Resource group; made when it is missing.", autocompletion=groups_known)]
Location = Annotated[str, typer.Option("--location", help="Location, as Azure names it.")]
Tags = Annotated[list[str], typer.Option("--tag", help="Tag as name=value; may be repeated.")]
Sure = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Name = Annotated[str, typer.Argument(help="Name, or full id.")]
Host = Annotated[str, typer.Option("--connector", "-c", help="Connector, by name or full id.", autocompletion=connectors_known)]


class Place(Enum):
    """Where a noun's resources lie."""

    GROUP = "group"
    CONNECTOR = "connector"


@dataclass(frozen=True, kw_only=True, slots=True)
class Noun:
    """One noun: its word for one and for several, its ARM type, where it lies, the name of one in examples, its table's columns."""

    word: str
    many: str
    type: str
    help: str
    example: str
    columns: Mapping[str, Column]
    place: Place = Place.GROUP
    loss: Callable[[Mapping[str, Any]], str] | None = None
    """What goes with one, by its properties: said before it is deleted."""


def group_of(item: Mapping[str, Any]) -> str:
    """The resource group of a resource."""
    return parse_resource(item["id"]).group


CONNECTOR = Noun(
    word="connector",
    many="connectors",
    type=_CONNECTORS,
    help="AWS accounts that are connected.",
    example="aws-123456789012",
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
    many="solutions",
    type="Microsoft.HybridConnectivity/solutionConfigurations",
    help="What a connector does: inventory, onboarding, access.",
    example="inventory",
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
    many="machines",
    type="Microsoft.HybridCompute/machines",
    help="EC2 instances that became machines.",
    example="web-1",
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
    known = {"name": offering(members(f"providers/{noun.type}"))}

    @verb(app, "list", help=f"List {noun.many}.", examples=_list_examples(noun, ""))
    def listing(session: Session, *, group: Group = "", watch: Watch = False, interval: Interval = 2.0) -> None:
        path = collection(session, noun, group)
        present(session, lambda: list_of(session.client.list(path), noun.columns), watch=watch, interval=interval)

    @verb(app, "show", help=f"Show one of the {noun.many}.", examples=_show_examples(noun, ""), complete=known)
    def show(session: Session, name: Name, *, group: Group = "", watch: Watch = False, interval: Interval = 2.0) -> None:
        id = find(session, noun, name, group)
        present(session, lambda: one_of(session, noun, id), watch=watch, interval=interval)

    @verb(app, "delete", help=f"Delete one of the {noun.many}.", examples=_delete_examples(noun, ""), complete=known)
    def delete(session: Session, name: Name, *, group: Group = "", yes: Sure = False) -> None:
        remove(session, find(session, noun, name, group), yes=yes, noun=noun)


def _add_hosted(app: typer.Typer, noun: Noun) -> None:
    known, of = {"name": hosted_known(noun)}, f" --connector {CONNECTOR.example}"

    @verb(app, "list", help=f"List the {noun.many} of a connector.", examples=_list_examples(noun, of))
    def listing(session: Session, *, connector: Host, watch: Watch = False, interval: Interval = 2.0) -> None:
        path = f"{find(session, CONNECTOR, connector)}/providers/{noun.type}"
        present(session, lambda: list_of(session.client.list(path), noun.columns), watch=watch, interval=interval)

    @verb(app, "show", help=f"Show one of the {noun.many} of a connector.", examples=_show_examples(noun, of), complete=known)
    def show(session: Session, name: Name, *, connector: Host = "", watch: Watch = False, interval: Interval = 2.0) -> None:
        id = hosted(session, noun, name, connector)
        present(session, lambda: one_of(session, noun, id), watch=watch, interval=interval)

    @verb(app, "delete", help=f"Delete one of the {noun.many} of a connector.", examples=_delete_examples(noun, of), complete=known)
    def delete(session: Session, name: Name, *, connector: Host = "", yes: Sure = False) -> None:
        remove(session, hosted(session, noun, name, connector), yes=yes, noun=noun)


def _list_examples(noun: Noun, of: str) -> dict[str, str]:
    return {
        f"{noun.word} list{of}": f"See the {noun.many}",
        f"{noun.word} list{of} --watch --interval 5": "Look every 5 seconds",
        f"{noun.word} list{of} --output csv": "For a spreadsheet",
    }


def _show_examples(noun: Noun, of: str) -> dict[str, str]:
    return {
        f"{noun.word} show {noun.example}{of}": "See everything that is known",
        f"{noun.word} show {noun.example}{of} --output yaml": "The same as YAML",
    }


def _delete_examples(noun: Noun, of: str) -> dict[str, str]:
    return {
        f"{noun.word} delete {noun.example}{of}": "Delete it after a question",
        f"{noun.word} delete {noun.example}{of} --yes": "Delete it without one",
    }


def _add_create(app: typer.Typer, noun: Noun) -> None:
    example = {f"{noun.word} create {noun.example} --group servers --file properties.json": "With the properties of a file"}

    @verb(app, "create", help=f"Create or replace one of the {noun.many} from a file with its properties.", examples=example)
    def create(
        session: Session,
        name: Name,
        *,
        group: NewGroup,
        location: Location = "eastus",
        tag: Tags = [],  # noqa: B006 - Typer copies defaults
        file: Annotated[Path | None, typer.Option("--file", help="JSON file with the properties.")] = None,
    ) -> None:
        body = {"location": location, "tags": tags_of(tag), "properties": read_object(file) if file else {}}
        with in_group(session, group, location):
            answer = session.client.put(f"{session.root}/resourceGroups/{group}/providers/{noun.type}/{name}", body)
            session.client.wait(answer)
        print_item(answer.body, session.output, noun.columns)


def one_of(session: Session, noun: Noun, id: str) -> Sight:
    """One look at one resource."""
    return Sight(item=session.client.get(id), columns={} if session.output.is_for_people else noun.columns)


def hosted_known(noun: Noun) -> Completer:
    """Completes names of what the connector has that is named in the same line."""

    def ask(session: Session, given: dict[str, Any]) -> Iterator[str]:
        host = find(session, CONNECTOR, str(given.get("connector") or ""))
        return (str(one["name"]) for one in session.client.list(f"{host}/providers/{noun.type}"))

    return offering(ask)


def collection(session: Session, noun: Noun, group: str = "") -> str:
    """The collection of a noun in a group, or in the whole subscription."""
    return f"{session.root}{f'/resourceGroups/{group}' if group else ''}/providers/{noun.type}"


def find(session: Session, noun: Noun, name: str, group: str = "") -> str:
    """The id behind a name: a full id as it is, a name within a group, or the only one of that name in the subscription."""
    if not name.strip():  # The variable of a script that is not set must not mean the only one there is.
        raise ArmError("NameNotGiven", f"The name of the {noun.word} is empty. List them with 'isthmus {noun.word} list'.", target="name")
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
    meant = near(name, (str(one["name"]) for one in session.client.list(collection(session, noun))))
    raise ArmError(
        "ResourceNotFound",
        f"There is no {noun.word} '{name}' in this subscription.{meant} List them with 'isthmus {noun.word} list'.",
        status=404,
    )


def near(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x' or 'y'?` for names like the one that is not there; empty when none is."""
    spelling = {one.lower(): one for one in known}
    found = [f"'{spelling[one]}'" for one in difflib.get_close_matches(name.lower(), spelling, n=3)]
    return f" Did you mean {' or '.join(found)}?" if found else ""


def hosted(session: Session, noun: Noun, name: str, connector: str) -> str:
    """The id of something that a connector has: a full id, or a name with its connector."""
    if name.startswith("/"):
        return str(parse_resource(name))
    if not name.strip():
        raise ArmError("NameNotGiven", f"The name of the {noun.word} is empty.", target="name")
    if not connector:
        raise ArmError("ConnectorNotNamed", f"Say of which connector '{name}' is a {noun.word}: --connector NAME.", target="connector")
    return str(parse_resource(f"{find(session, CONNECTOR, connector)}/providers/{noun.type}/{name}"))


def remove(session: Session, id: str, *, yes: bool, noun: Noun | None = None) -> None:
    """Ask, delete, wait for the end, say so. What is not there is not asked about."""
    if not yes:
        held = session.client.get(id)
        if noun is not None and noun.loss is not None:
            session.say(f"{held['name']}: {noun.loss(held['properties'])}.")
    if not yes and not typer.confirm(clean(f"Delete {id}?"), err=True):
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
    except OSError as error:
        raise ArmError("UnreadableFile", f"'{file}' cannot be read: {error.strerror or error}.", target=str(file)) from error
    except ValueError as error:
        raise ArmError("UnreadableFile", f"'{file}' does not hold JSON: {error}.", target=str(file)) from error


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; ArmError `UnreadableFile`."""
    held = read_json(file)
    if not isinstance(held, dict):
        raise ArmError("UnreadableFile", f"'{file}' must be a JSON object ({{…}}).", target=str(file))
    return held


def rows_of(session: Session, path: str) -> Iterator[dict[str, Any]]:
    """A whole collection in large pages."""
    return session.client.list(path, query={"$top": "1000"})
