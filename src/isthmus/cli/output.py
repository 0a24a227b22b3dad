"""What commands print: tables for people, formats for programs, progress while something runs, and errors with their remedy."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from isthmus.arm.errors import ArmError
from isthmus.cli.formats import Column, Output, as_csv, as_json, as_tsv, as_yaml, flat, one_line, pick

_WIDE = 10_000
_REFUSED = re.compile(r"perform action '(?P<action>[^']+)' over scope\s+'(?P<scope>[^']+)'")
_QUIET_SECONDS = 15.0

REMEDIES: Mapping[str, str] = {
    "AuthorizationPending": "Deploy the account's template: isthmus connector template NAME --output-file template.json",
    "ResourceGroupNotFound": "List the groups with 'isthmus group list', or make one: isthmus group create NAME --location eastus",
    "SubscriptionNotFound": "List the subscriptions: isthmus subscription list",
    "InvalidSolutionType": "The short names are: inventory, onboarding.",
    "AuthenticationFailed": "Sign in again: isthmus login",
    "InvalidClient": "Check ISTHMUS_CLIENT_ID and what proves it, or unset it to use the data folder's key.",
    "ServerNotReachable": "Find out why: isthmus doctor",
}
"""What to do about an error whose own text cannot know the command line."""


def console(*, errors: bool = False) -> Console:
    """A console on standard output or error; wide where nobody looks, so that nothing is cut."""
    stream = sys.stderr if errors else sys.stdout
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=None if stream.isatty() else _WIDE)


def clean(value: object) -> str:
    """A value as one printable line for people: what came from elsewhere cannot move the cursor."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value))


def table_of(items: Iterable[Mapping[str, Any]], columns: Mapping[str, Column]) -> Table:
    """Items as a table with a header."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title, overflow="fold")
    for item in items:
        table.add_row(*(Text(clean(pick(item, column))) for column in columns.values()))
    return table


def lines_of(item: Mapping[str, Any]) -> Table:
    """One item as lines of path and value."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for path, value in flat(item):
        table.add_row(Text(clean(path)), Text(clean(value)))
    return table


def print_list(items: Iterable[Mapping[str, Any]], columns: Mapping[str, Column], output: Output) -> None:
    """Items as a table with a header, as one JSON or YAML list, or as rows of the columns (CSV with a header, TSV without)."""
    if output is Output.TABLE:
        table = table_of(items, columns)
        if table.row_count:
            _print_table(table)
        else:
            console(errors=True).print("Nothing found.")
    elif output.is_tree:
        print_tree(list(items), output)
    else:
        if output is Output.CSV:
            sys.stdout.write(as_csv(columns))
        for item in items:
            print_row([pick(item, column) for column in columns.values()], output)


def print_item(item: Mapping[str, Any], output: Output, columns: Mapping[str, Column] | None = None) -> None:
    """One item as lines of path and value, as an object, or as one row: of the columns, or of every path where there are none."""
    if output is Output.TABLE:
        _print_table(lines_of(item))
    elif output.is_tree:
        print_tree(item, output)
    elif columns:
        print_list([item], columns, output)
    else:
        members = dict(flat(item))
        if output is Output.CSV:
            sys.stdout.write(as_csv(members))
        print_row(list(members.values()), output)


def _print_table(table: Table) -> None:
    """Without the blanks that fill the last column, where nobody's terminal needs them."""
    shown = console()
    if shown.is_terminal:
        shown.print(table)
        return
    with shown.capture() as captured:
        shown.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def print_tree(value: object, output: Output) -> None:
    """A document on standard output, as YAML where that is asked for and as JSON otherwise."""
    sys.stdout.write(as_yaml(value) if output is Output.YAML else as_json(value))


def print_row(values: list[object], output: Output) -> None:
    """One row of TSV or CSV on standard output."""
    sys.stdout.write(as_csv(values) if output is Output.CSV else as_tsv(values))


def print_error(error: ArmError, *, principal: str = "") -> None:
    """One line that says what happened, a line per detail, and what to do where that is known. `principal` is whom a refusal was for."""
    shown = console(errors=True)
    shown.print(Text.assemble(("error: ", "bold red"), f"{clean(error.message)} [{clean(error.code)}]"), soft_wrap=True)
    for detail in error.details:
        if detail.message not in error.message:
            shown.print(f"  {clean(detail.target or detail.code)}: {clean(detail.message)}", soft_wrap=True)
    remedy = _role_to_ask_for(error.message, principal) if error.code == "AuthorizationFailed" else REMEDIES.get(error.code, "")
    if remedy:
        shown.print(f"  {clean(remedy)}", soft_wrap=True)


def _role_to_ask_for(message: str, principal: str) -> str:
    """What an owner would run, as far as the refusal says which role at which scope is missing; nothing where no role helps."""
    if refused := _REFUSED.search(message):
        action, scope = refused["action"].lower(), refused["scope"]
        role = "Owner" if action.startswith("microsoft.authorization/") else "Reader" if action.endswith("/read") else "Contributor"
    elif "('/')" in message and (named := [role for role in ("Reader", "Contributor", "Owner") if role.lower() in message.lower()]):
        role, scope = named[0], "/"
    else:
        return ""
    return f"Ask an owner: isthmus role assign --principal {principal or 'YOUR-OBJECT-ID'} --role {role} --scope {scope}"


class Progress:
    """A line that changes while something runs: alive on a terminal, elsewhere a plain line now and then. On standard error."""

    def __init__(self, text: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console(errors=True)
        self._clock = clock
        self._said = ""
        self._next = 0.0
        self._status: Status | None = None
        if self._console.is_terminal:
            self._status = self._console.status(Text(clean(text)))
        self.say(text)

    def __enter__(self) -> Progress:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        """What is going on now."""
        if self._status is not None:
            self._status.update(Text(clean(text)))
        elif text != self._said and self._clock() >= self._next:
            self._console.print(clean(text), soft_wrap=True)
            self._next = self._clock() + _QUIET_SECONDS
        self._said = text
