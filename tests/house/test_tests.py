"""A test that tests says so: every test function asserts something, by itself or through what it calls."""

from __future__ import annotations

import ast

from tests.house.tree import Function, functions, modules, said

RAISING = {"raises", "fail", "warns"}
# Tests that pass by not raising; their neighbours assert what is refused.
NOT_RAISING = {"tests/clouds/aws/template/test_document.py test_good_values_pass"}


def _used(function: Function) -> set[str]:
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    used = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
    return used | {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}


def _asserts(function: Function) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in RAISING:
            return True
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and getattr(node.exc.func, "id", "") == "AssertionError":
            return True
    return False


def test_every_test_asserts() -> None:
    """A test that can only fail by accident is none. Helpers count where a test can see them: in its file, or outside test files."""
    per_file = {module.path: list(functions(module)) for module in modules("tests")}
    shared = [f for path, found in per_file.items() if not path.rpartition("/")[2].startswith("test_") for f in found]
    asserting_everywhere = closure(shared, set())
    idle = []
    for path, found in per_file.items():
        asserting = closure(found, asserting_everywhere)
        tests = [function for function in found if function.name.startswith("test_")]
        idle += [f"{path} {test.name}" for test in tests if test.name not in asserting and f"{path} {test.name}" not in NOT_RAISING]
    assert not idle, said(idle)


def closure(found: list[Function], known: set[str]) -> set[str]:
    """`known` and the names of the functions that assert, or use one that does."""
    asserting = known | {function.name for function in found if _asserts(function)}
    rest = {function.name: _used(function) for function in found if function.name not in asserting}
    while more := {name for name, used in rest.items() if name not in asserting and used & asserting}:
        asserting |= more
    return asserting


def test_nothing_is_skipped() -> None:
    """A missing program is a failure with a name, not a test less."""
    banned = {"skip", "skipif", "xfail", "importorskip"}
    found = [
        f"{module.path}:{node.lineno} {node.attr}"
        for module in modules("tests")
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node.attr in banned and "pytest" in ast.unparse(node)
    ]
    assert not found, said(found)


def test_tests_have_names_of_their_own() -> None:
    """Two tests of one name in one file or class: the second hides the first."""
    found = []
    for module in modules("tests"):
        for node in module.nodes:
            if isinstance(node, ast.Module | ast.ClassDef):
                names = [child.name for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
                found += [f"{module.path} {name}" for name in {name for name in names if names.count(name) > 1} if name.startswith("test_")]
    assert not found, said(found)
