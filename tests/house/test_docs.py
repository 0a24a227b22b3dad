"""What the documents name exists, what they must describe is described, and decisions and changes are written as agreed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from isthmus.settings import Settings
from tests.house.tree import ROOT, files, said

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "changelog.d/README.md"])
ROOTS = ("src/", "tests/", "docs/", "bench/", "changelog.d/", ".ci/")
ENDINGS = (".py", ".md", ".toml", ".json", ".sh", ".ps1", ".lock")
QUOTED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
MODULE = re.compile(r"^(?:python -m )?((?:isthmus|isthmus_lab|isthmus_agent|tests|bench)(?:\.\w+)+)(?:\(.*\))?$")
# Names with dots that are not modules: groups of entry points and the like.
NOT_MODULES = {"isthmus.commands"}
KINDS = ("added", "changed", "fixed", "removed", "security")
ADRS = sorted((ROOT / "docs/adr").glob("*.md"))
SECTIONS = ("Context", "Decision", "Consequences", "Alternatives")


def _outside_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _paths(text: str) -> Iterator[str]:
    """Quoted words that look like a path of this repository."""
    for word in (match.split()[0] for match in QUOTED.findall(_outside_code(text)) if match.strip()):
        clean = re.sub(r"(:\d+|::\w+)+$", "", word)
        is_path = re.fullmatch(r"[\w.*<>…-]+(/[\w.*<>…-]+)*/?", clean)
        if is_path and (clean.startswith(ROOTS) or ("/" in clean and clean.endswith(ENDINGS))) and not clean.startswith(("build/", "~")):
            yield clean


@cache
def _places() -> tuple[PurePosixPath, ...]:
    """Every file and folder of the tree."""
    found = [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in files()]
    return tuple({place for path in found for place in (path, *path.parents)})


def _exists(path: str, page: Path) -> bool:
    """Whether a path is there: from the root, from the page, or as the end of a longer one (`store/tables.py`)."""
    pattern = re.sub(r"<[^>]*>|…", "*", path).rstrip("/")
    if path.startswith(ROOTS):
        return any(ROOT.glob(pattern))
    return (page.parent / pattern).exists() or any(place.match(pattern) for place in _places())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page: Path) -> None:
    """Paths in backquotes, links, make targets, modules and their attributes."""
    text = page.read_text()
    problems = [path for path in _paths(text) if not _exists(path, page)]
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [*QUOTED.findall(text), *re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)]
    problems += [f"make {target}" for command in commands for target in TARGET.findall(command) if target not in targets]
    problems += [link for link in LINK.findall(_outside_code(text)) if not _leads_somewhere(link, page)]
    for quoted in QUOTED.findall(_outside_code(text)):
        match = MODULE.match(quoted)
        if match and match[1] not in NOT_MODULES and not _is_importable(match[1]):
            problems.append(quoted)
    assert not problems, said(problems)


def _leads_somewhere(link: str, page: Path) -> bool:
    path, _, anchor = link.partition("#")
    if re.match(r"[a-z]+:", link):
        return link.startswith("https://")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
    return not anchor or anchor in {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def _is_importable(name: str) -> bool:
    """Whether `a.b.c` is a module, or an attribute of one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_described(name: str) -> None:
    """In the code by a sentence, in the reference by its environment variable and that sentence."""
    description = Settings.model_fields[name].description or ""
    assert re.fullmatch(r"([A-Z]|https).{10,}\.", description, re.DOTALL)
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert f"ISTHMUS_{name.upper()}" in page


def test_the_front_page_is_short_and_begins_with_the_two_commands() -> None:
    """150 lines; `make demo` and `make test` among the first 20."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert all(command in "\n".join(lines[:20]) for command in ("make demo", "make test"))


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.stem)
def test_decisions_are_short_and_whole(page: Path) -> None:
    """At most 60 lines: what was decided, why, what follows, what else was weighed. The number stands in name and title."""
    text = page.read_text()
    number = int(page.name[:4])
    assert len(text.splitlines()) <= 60
    assert text.startswith(f"# {number}. ")
    assert re.search(r"^Status: (proposed|accepted|superseded by \d+)\.", text, re.MULTILINE)
    assert [title for title in SECTIONS if f"\n## {title}\n" not in text] == []


def test_decisions_are_numbered_without_gaps() -> None:
    """0000 is the template."""
    assert [int(page.name[:4]) for page in ADRS] == list(range(len(ADRS)))


def test_fragments_of_the_changelog_are_well_formed() -> None:
    """`<what>.<kind>.md`: one to ten lines of plain sentences for the people who run Isthmus."""
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert fragments
    for path in fragments:
        assert re.fullmatch(rf"[a-z0-9][a-z0-9-]*\.(?:{'|'.join(KINDS)})\.md", path.name), path.name
        text = path.read_text().strip()
        assert 1 <= len(text.splitlines()) <= 10, path.name
        assert text[0].isupper(), path.name
        assert text.endswith("."), path.name
