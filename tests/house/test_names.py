"""Names that say nothing are not used."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

from tests.house.tree import functions, modules, said

FILES = {"common", "utils", "util", "helpers", "helper", "misc", "base", "manager"}
CLASSES = re.compile(r"Manager|^_?Base[A-Z]|Helper|Util")
FUNCTIONS = re.compile(r"^_?(do|handle|process)_")
# Names that a library's interface demands.
DEMANDED = {"do_GET": "http.server", "do_POST": "http.server", "do_PUT": "http.server", "handle_request": "httpx.BaseTransport"}


def test_files_and_folders_have_a_noun() -> None:
    """A helper with one caller lives with it; one with two callers has a name of its own."""
    found = [
        module.path for module in modules() if FILES & {part.removesuffix(".py").strip("_") for part in PurePosixPath(module.path).parts}
    ]
    assert not found, said(found)


def test_classes_are_named_for_what_they_are() -> None:
    """No Manager, no Base…"""
    found = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules()
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and CLASSES.search(node.name)
    ]
    assert not found, said(found)


def test_functions_are_plain_verbs() -> None:
    """No do_, handle_, process_: the verb that follows is the name."""
    found = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in modules()
        for function in functions(module)
        if FUNCTIONS.match(function.name) and function.name not in DEMANDED
    ]
    assert not found, said(found)
