"""What is public says what it promises."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.tree import Module, modules, said


def public(body: list[ast.stmt], above: str) -> Iterator[tuple[int, str, bool]]:
    """(line, dotted name, is documented) of public classes, functions and methods; what stands in a private class is private."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
            continue
        if any(isinstance(mark, ast.Attribute) and mark.attr == "setter" for mark in node.decorator_list):
            continue
        yield node.lineno, f"{above}{node.name}", bool(ast.get_docstring(node))
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{node.name}.")


def _missing(module: Module) -> list[str]:
    return [f"{module.path}:{line} {name}" for line, name, documented in public(module.tree.body, "") if not documented]


def test_every_module_has_a_docstring() -> None:
    """Also in tests and benchmarks: the first line says why the file exists."""
    without = [module.path for module in modules() if module.tree.body and not ast.get_docstring(module.tree)]
    assert not without, said(without)


def test_everything_public_has_a_docstring() -> None:
    """Classes, functions and methods below src whose names do not begin with an underscore."""
    without = [line for module in modules("src") for line in _missing(module)]
    assert not without, said(without)
