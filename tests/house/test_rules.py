"""The rules notice what they are for: each finds a violation in a few lines written for it, and leaves good code alone."""

from __future__ import annotations

import ast

import pytest

from tests.house.test_borders import broad
from tests.house.test_docstrings import public
from tests.house.test_tests import closure
from tests.house.tree import Module, functions, imported


def _module(text: str) -> Module:
    tree = ast.parse(text)
    return Module(path="x.py", text=text, tree=tree, nodes=tuple(ast.walk(tree)))


@pytest.mark.parametrize(
    ("handler", "found"),
    [
        ("except Exception:\n    pass", [3]),
        ("except (ValueError, Exception):\n    pass", [3]),
        ("except:\n    pass", [3]),
        ("except BaseException:\n    close()\n    raise", []),
        ("except ValueError:\n    pass", []),
    ],
)
def test_broad_handlers_are_found(handler: str, found: list[int]) -> None:
    """Handlers that clean up and raise again hide nothing."""
    assert list(broad(_module(f"try:\n    run()\n{handler}\n"))) == found


def test_broad_suppression_is_found() -> None:
    """`suppress` is an `except` in other words."""
    assert list(broad(_module("with contextlib.suppress(Exception):\n    run()\n"))) == [1]


def test_missing_docstrings_are_found() -> None:
    """In public classes, methods and functions; what is private may be silent."""
    text = 'class A:\n    """A."""\n    def b(self): ...\n    def _c(self): ...\nclass _D:\n    def e(self): ...\ndef f(): ...\n'
    assert [name for _, name, documented in public(_module(text).tree.body, "") if not documented] == ["A.b", "f"]


def test_idle_tests_are_found() -> None:
    """A test that calls a function which asserts is none of them."""
    text = "def check(): assert 1\ndef test_a(): check()\ndef test_b(): run()\ndef test_c():\n    with pytest.raises(ValueError): run()\n"
    assert closure(list(functions(_module(text))), set()) == {"check", "test_a", "test_c"}


def test_imports_are_named_whole() -> None:
    """`from a import b` is `a.b`."""
    assert [name for _, name in imported(_module("import a.b\nfrom c.d import e, f\n"))] == ["a.b", "c.d.e", "c.d.f"]
