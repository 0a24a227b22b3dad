"""The manual: every command as one record, read from the declarations that run it, and written as Markdown (`roff.py` writes man pages)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer

from isthmus.cli.program import app

EXIT_STATUS: Mapping[int, str] = {
    0: "Done.",
    1: "Refused or failed; standard error says what happened and what to do.",
    2: "Wrong usage.",
    130: "Interrupted by Ctrl-C; what was started on the server goes on.",
}
ENVIRONMENT: Mapping[str, str] = {
    "ISTHMUS_DATA": "Data folder of the server, as --data.",
    "ISTHMUS_URL": "Server elsewhere, as --url.",
    "ISTHMUS_SUBSCRIPTION_ID": "Subscription, as --subscription.",
    "ISTHMUS_CLIENT_ID": "Client to sign in as, with one of the next two.",
    "ISTHMUS_CLIENT_SECRET": "Its secret.",
    "ISTHMUS_FEDERATED_TOKEN_FILE": "File with a token of an issuer that it trusts.",
    "ISTHMUS_CA_FILE": "CA file of a server that has its own, as --ca.",
    "REQUESTS_CA_BUNDLE": (
        "The same, where ISTHMUS_CA_FILE is not set. Many programs read it and then trust nothing else: AWS' tools among them, unless "
        "AWS_CA_BUNDLE is set."
    ),
    "XDG_CACHE_HOME": "Where the token of a sign-in is kept for its hour. Default: ~/.cache.",
    "NO_COLOR": "Print without colours.",
}
FORMATS: Mapping[str, str] = {
    "table": "For people; the default. Objects show as lines of path and value.",
    "json": "Everything, indented. Characters that a terminal would obey are \\u escapes.",
    "yaml": "Everything, as YAML 1.1 without aliases, Unicode kept.",
    "tsv": "The columns of the table between tabs, without a header; tabs and line breaks in values become spaces.",
    "csv": (
        "The columns of the table as RFC 4180, with a header. A text that a spreadsheet would run as a formula "
        "(it begins with = + - @) gets an apostrophe before it."
    ),
}
_NESTED = (
    "In tsv and csv a single resource is one row, null is empty, truth values are true and false, and values that are objects or "
    "lists are compact JSON."
)
WATCHING = (
    "With --watch a command looks again every --interval seconds. On a terminal the table changes in its place; elsewhere what is new "
    "or different is appended: rows with the time before them in a table, rows alone in tsv and csv, one document per change in json "
    "(a line each) and yaml. A server that does not answer for a while, as during a restart, is waited for. It ends by itself where "
    "there is an end, otherwise with Ctrl-C."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An option or argument: how it is written, and what it means."""

    written: str
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One command: the words that run it, what it does in a line and in paragraphs, and everything that can be given to it."""

    words: tuple[str, ...]
    summary: str
    description: tuple[str, ...]
    synopsis: str
    options: tuple[Entry, ...]
    codes: Mapping[int, str]
    environment: Mapping[str, str]
    examples: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its words as one, as manuals name it: `isthmus-connector-list`."""
        return "-".join(self.words)


def pages() -> list[Page]:
    """Every command, in the order of the help."""
    root = typer.main.get_command(app)
    shared = {option.opts[0] for option in root.params}
    return [_page(words, command, shared) for words, command in leaves(root, ("isthmus",))]


def shared_options() -> tuple[Entry, ...]:
    """Options of every command, and those of the program itself."""
    return tuple(_entries(typer.main.get_command(app), set()))


def leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it; commands of other packages are not ours to document."""
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield words, command
    for name, child in inner.items():
        yield from leaves(child, (*words, name))


def markdown() -> str:
    """The reference page of all commands."""
    lines = ["# Commands", "", "Each command has a man page too: `man isthmus`, `man isthmus-connector-list`.", ""]
    lines += ["## Options of every command", "", "Before or after the command:", "", *_list(shared_options()), ""]
    lines += ["## Formats", "", *(f"- `{name}`: {meaning}" for name, meaning in FORMATS.items()), "", _NESTED, ""]
    lines += ["## Watching", "", WATCHING, ""]
    lines += ["## Environment", "", *(f"- `{name}`: {meaning}" for name, meaning in ENVIRONMENT.items()), ""]
    for page in pages():
        lines += [*_section(page), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(page: Page) -> Iterator[str]:
    yield from (f"## `{' '.join(page.words)}`", "", f"**NAME** {page.name}: {_lower(page.summary)}", "")
    yield from (f"**SYNOPSIS** `{page.synopsis}`", "", f"**DESCRIPTION** {' '.join(page.description)}", "", "**OPTIONS**", "")
    yield from (*_list(page.options), "- and the [options of every command](#options-of-every-command)", "")
    yield from ("**EXIT STATUS**", "", *(f"- {code}: {meaning}" for code, meaning in page.codes.items()), "")
    own = [f"- `{name}`: {meaning}" for name, meaning in page.environment.items()]
    yield from ("**ENVIRONMENT**", "", *own, "- and the [environment of every command](#environment)", "")
    yield from ("**EXAMPLES**", "", "```sh")
    yield from (line for run, meaning in page.examples.items() for line in (f"# {meaning}", f"isthmus {run}"))
    yield "```"


def _page(words: tuple[str, ...], command: Any, shared: set[str]) -> Page:
    paragraphs = tuple(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    declared = command.callback
    arguments = " ".join(_argument(parameter) for parameter in command.params if parameter.param_type_name == "argument")
    return Page(
        words=words,
        summary=paragraphs[0].partition(". ")[0].rstrip("."),
        description=paragraphs,
        synopsis=" ".join(filter(None, (" ".join(words), "[OPTIONS]", arguments))),
        options=tuple(_entries(command, shared)),
        codes={**EXIT_STATUS, **declared.codes},
        environment=declared.environment,
        examples=declared.examples,
    )


def _entries(command: Any, without: set[str]) -> Iterator[Entry]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield Entry(written=str(parameter.name).upper(), meaning=_meaning(parameter))
    for option in command.params:
        if option.param_type_name != "option" or option.opts[0] in without or option.opts[0] == "--help":
            continue
        names = ", ".join((*option.opts, *option.secondary_opts))
        takes = "" if option.is_flag or option.type_descriptor.annotation is bool else f" {_metavar(option)}"
        yield Entry(written=f"{names}{takes}", meaning=_meaning(option))


def _metavar(option: Any) -> str:
    kind = option.type_descriptor.annotation
    return "|".join(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else str(option.name).upper().replace("_", "-")


def _meaning(parameter: Any) -> str:
    said = " ".join((parameter.help or "").split())
    default = getattr(parameter, "default", None)
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        said += f" Default: {default:g}."
    elif isinstance(default, str) and default and not getattr(parameter, "is_flag", False):
        said += f" Default: {default}."
    if getattr(parameter, "required", False) and parameter.param_type_name == "option":
        said += " Required."
    return said


def _argument(parameter: Any) -> str:
    name = str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _list(entries: Iterable[Entry]) -> list[str]:
    return [f"- `{entry.written}`: {entry.meaning}" for entry in entries]


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
