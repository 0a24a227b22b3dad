"""Man pages: the records of the manual in roff, by the macros of man(7). One page per command, and `isthmus.1` that leads to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from isthmus import __version__
from isthmus.cli import manual
from isthmus.cli.manual import Entry, Page

_COMMANDS = "Isthmus"
# What roff would read as something else: escapes, hyphens that it may set as dashes, quotes that it may bend.
_SPECIAL = {
    "\\": "\\e",
    "-": "\\-",
    "'": "\\(aq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
    "…": "\\&...",
    "–": "\\(en",
    "→": "\\(->",
    "×": "\\(mu",
}
_OTHER = re.compile(r"[^\x20-\x7e]")
_OPTION = re.compile(r"--?[a-z][a-z-]*")


def pages() -> dict[str, str]:
    """Every man page by its file name."""
    found = manual.pages()
    return {"isthmus.1": _program(found), **{f"{page.name}.1": _command(page) for page in found}}


def escape(text: str) -> str:
    """A text that roff prints as it is, also at the start of a line."""
    written = "".join(_SPECIAL.get(character, character) for character in text)
    written = _OTHER.sub(lambda found: f"\\[u{ord(found.group()):04X}]", written)
    return f"\\&{written}" if written.startswith(".") else written


def _program(found: list[Page]) -> str:
    lines = [*_head("isthmus", "AWS estates on an Azure-style control plane")]
    lines += [".SH SYNOPSIS", ".B isthmus", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]", ".SH DESCRIPTION"]
    lines += _paragraphs(
        "Isthmus joins AWS estates to an Azure-style control plane. One server (isthmus serve) keeps the state; every other command "
        "talks to it over HTTPS: to the one that runs on the data folder, or to the one that --url names.",
        "The owner of the data folder needs no sign-in. Others sign in (isthmus login) or come as a client of the environment.",
        "Every command tells with --help what it takes, and shows examples. isthmus doctor tells what is wrong with an installation.",
    )
    lines += [".SH COMMANDS"]
    for page in found:
        lines += [".TP", f".BR {escape(page.name)} (1)", escape(f"{page.summary}.")]
    lines += [".SH OPTIONS", *_entries(manual.shared_options()), ".SH FORMATS", *_terms(manual.FORMATS)]
    lines += [".SH WATCHING", *_paragraphs(manual.WATCHING)]
    lines += [*_exit_status(manual.EXIT_STATUS), ".SH ENVIRONMENT", *_terms(manual.ENVIRONMENT), ".SH FILES"]
    lines += _terms(
        {
            "~/.local/share/isthmus": "The data folder: database, keys, and the note of the running server.",
            "~/.cache/isthmus": "Tokens of sign-ins, each for its hour.",
        }
    )
    lines += [".SH SEE ALSO", ".BR isthmus\\-serve (1),", ".BR isthmus\\-doctor (1),", ".BR isthmus\\-connector\\-create (1)"]
    return _joined(lines)


def _command(page: Page) -> str:
    lines = [*_head(page.name, _lower(page.summary)), ".SH SYNOPSIS", f".B {escape(' '.join(page.words))}"]
    rest = page.synopsis.removeprefix(" ".join(page.words)).strip()
    lines += [re.sub(r"[A-Z]+", lambda found: f"\\fI{found.group()}\\fR", escape(rest)), ".SH DESCRIPTION", *_paragraphs(*page.description)]
    lines += [".SH OPTIONS", *_entries(page.options), ".PP", "The options of every command are described in", ".BR isthmus (1)."]
    lines += [*_exit_status(page.codes), ".SH ENVIRONMENT", *_terms(page.environment), ".PP"]
    lines += ["The variables of every command are described in", ".BR isthmus (1).", ".SH EXAMPLES"]
    for run, meaning in page.examples.items():
        lines += [".PP", escape(f"{meaning}:"), ".PP", ".RS 4", ".EX", escape(f"isthmus {run}"), ".EE", ".RE"]
    return _joined([*lines, ".SH SEE ALSO", ".BR isthmus (1)"])


def _head(name: str, summary: str) -> list[str]:
    title = escape(name.upper())
    return [
        '.\\" Written by `make reference` from the source. Do not edit.',
        f'.TH {title} 1 "" "isthmus {escape(__version__)}" "{_COMMANDS}"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{escape(name)} \\- {escape(summary)}",
    ]


def _paragraphs(*texts: str) -> list[str]:
    return [line for text in texts for line in (".PP", _options_bold(text))]


def _options_bold(text: str) -> str:
    """Prose in which options stand out."""
    parts, last = [], 0
    for found in _OPTION.finditer(text):
        if found.start() and (text[found.start() - 1].isalnum() or text[found.start() - 1] == "-"):
            continue
        parts += [_inner(text[last : found.start()], is_first=not last), f"\\fB{_inner(found.group())}\\fR"]
        last = found.end()
    return "".join((*parts, _inner(text[last:], is_first=not last)))


def _inner(text: str, *, is_first: bool = False) -> str:
    written = escape(text)
    return written if is_first else written.removeprefix("\\&")


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        yield from (".TP", f"\\fB{escape(entry.written)}\\fR", _options_bold(entry.meaning))


def _terms(terms: Mapping[str, str]) -> Iterator[str]:
    for term, meaning in terms.items():
        yield from (".TP", f"\\fB{escape(term)}\\fR", _options_bold(meaning))


def _exit_status(codes: Mapping[int, str]) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield from _terms({str(code): meaning for code, meaning in codes.items()})


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
