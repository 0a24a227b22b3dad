"""The tree as the house rules see it: every file that a clean clone would hold, and every Python file parsed once."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("src", "tests", "bench")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """One Python file: its path below the root with forward slashes, its text, its syntax tree and every node of that."""

    path: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]

    @property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return self.text.splitlines()


@cache
def files() -> tuple[Path, ...]:
    """Every file of the tree, without what .gitignore leaves out (which names folders only) and without Git's own."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if not line.startswith("#")} | {".git"}
    found = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in ignored and not name.endswith(".egg-info")]
        found += [Path(folder, name) for name in names if not name.endswith(".pyc")]
    return tuple(sorted(found))


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """(path below the root, text) of every file that is text."""
    found = []
    for path in files():
        try:
            found.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return tuple(found)


@cache
def _parsed() -> tuple[Module, ...]:
    found = []
    for path, text in texts():
        if path.endswith(".py"):
            tree = ast.parse(text, path)
            found.append(Module(path=path, text=text, tree=tree, nodes=tuple(ast.walk(tree))))
    return tuple(found)


def modules(*folders: str) -> list[Module]:
    """The Python files below `folders`; all of them by default."""
    return [module for module in _parsed() if module.path.startswith(tuple(f"{folder}/" for folder in folders or SOURCES))]


def functions(module: Module) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of everything a module imports."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def said(problems: list[str]) -> str:
    """Problems as the message of an assertion: a rule that fails names every place at once."""
    return f"{len(problems)}:\n" + "\n".join(problems)
