"""Help, reference and man pages: every command is described from its declarations, and every example can be run as it stands."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from isthmus.cli import manual, roff
from isthmus.cli.manual import Page
from isthmus.cli.program import app
from isthmus.cli.reference import FOLDER

PAGES = manual.pages()
ROFF = roff.pages()
EXAMPLES = [(page, run) for page in PAGES for run in page.examples]
ROOT: Any = typer.main.get_command(app)


@pytest.mark.parametrize(("page", "run"), EXAMPLES, ids=[run for _, run in EXAMPLES])
def test_every_example_is_understood_by_the_parser(page: Page, run: str) -> None:
    words = shlex.split(run)
    depth = len(page.words) - 1
    assert tuple(words[:depth]) == page.words[1:]
    command, context = ROOT, ROOT.make_context("isthmus", list(words))
    for word in page.words[1:]:
        rest = [*context._protected_args, *context.args]
        assert rest[0] == word
        command = command.get_command(context, word)
        context = command.make_context(word, rest[1:], parent=context)
    assert context.args == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_says_what_it_does_with_examples(page: Page) -> None:
    """A summary of its own, a meaning for everything that it takes, every exit code, at least one example."""
    assert 5 < len(page.summary) < 110
    assert page.summary[0].isupper()
    assert [entry.written for entry in page.options if not re.fullmatch(r"\S.{4,}\.", entry.meaning)] == []
    assert {0, 1, 2, 130} <= page.codes.keys()
    assert page.examples
    assert all(meaning[0].isupper() and meaning[-1] not in ".:" for meaning in page.examples.values())


def test_summaries_tell_commands_apart() -> None:
    assert len({page.summary for page in PAGES}) == len(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_help_ends_with_the_examples(page: Page) -> None:
    command, context = ROOT, ROOT.make_context("isthmus", [], resilient_parsing=True)
    for word in page.words[1:]:
        command = command.get_command(context, word)
        context = command.make_context(word, [], parent=context, resilient_parsing=True)
    text = command.get_help(context)
    assert [run for run in page.examples if f"  isthmus {run}" not in text.partition("Examples:")[2]] == []


def test_the_program_tells_its_exit_codes() -> None:
    text = ROOT.get_help(ROOT.make_context("isthmus", [], resilient_parsing=True))
    assert all(code in text for code in ("0 done", "1 refused or failed", "2 wrong usage", "130 interrupted"))


def test_the_reference_has_every_section_of_every_command() -> None:
    sections = manual.markdown().split("\n## `")[1:]
    assert len(sections) == len(PAGES)
    wanted = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES")
    for section in sections:
        assert [title for title in wanted if f"**{title}**" not in section] == []


def test_man_pages_are_the_committed_ones_and_no_others() -> None:
    assert {file.name: file.read_text() for file in (FOLDER / "man").iterdir()} == ROFF, "run `make reference` and commit the result"
    assert {*ROFF} == {"isthmus.1", *(f"{page.name}.1" for page in PAGES)}


@pytest.mark.parametrize("name", sorted(ROFF))
def test_man_pages_are_sound_roff(name: str) -> None:
    """ASCII; lines begin with a known request or with text; every escape is one that we write; fonts come back; sections are in order."""
    lines = ROFF[name].splitlines()
    assert ROFF[name].isascii()
    requests = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert requests <= {'.\\"', ".TH", ".SH", ".TP", ".PP", ".B", ".BR", ".RS", ".RE", ".EX", ".EE", ".nh", ".ad"}
    titles = [line.removeprefix(".SH ") for line in lines if line.startswith(".SH")]
    common = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"]
    assert [title for title in titles if title in common] == [title for title in common if title in titles]
    escapes = {found for line in lines if not line.startswith('.\\"') for found in re.findall(r"\\(?:\(..|\[u[0-9A-F]{4,6}\]|f.|.)", line)}
    written = {"\\e", "\\-", "\\&", "\\fI", "\\fB", "\\fR", *(found for found in escapes if re.match(r"\\\(|\\\[u", found))}
    assert escapes <= written
    assert sum(line.count("\\fB") + line.count("\\fI") for line in lines) == sum(line.count("\\fR") for line in lines)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (".hidden", "\\&.hidden"),
        ("'quoted'", "\\(aqquoted\\(aq"),
        ("a\\b", "a\\eb"),
        ("--all", "\\-\\-all"),
        ("é…", "\\[u00E9]\\&..."),
    ],
)
def test_what_roff_would_take_for_its_own_is_escaped(text: str, written: str) -> None:
    assert roff.escape(text) == written
