"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import statistics

from tests.house.tree import Function, functions, modules, said

MAX_FILE = 400
MEDIAN_FILE = 150
MAX_FUNCTION = 60
LONG_FUNCTION = 40
LONG_SHARE = 0.05

# path: why it may be longer. Splitting these would cost more than it gives.
LONGER_FILES: dict[str, str] = {}
LONGER_FUNCTIONS: dict[str, str] = {
    "tests/clouds/aws/emulated.py seed": "one call per AWS type, no branches",
}


def _length(function: Function) -> int:
    """Lines from `def` to the end, docstring and all."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_files_are_short() -> None:
    """400 lines at most; half of the product's files have 150 or fewer."""
    long = [f"{module.path}: {len(module.lines)}" for module in modules() if len(module.lines) > MAX_FILE]
    middle = statistics.median(len(module.lines) for module in modules("src"))
    print(f"median length of a file in src: {middle:.0f} lines")  # noqa: T201 - the figure to keep an eye on
    assert not (found := [line for line in long if line.partition(":")[0] not in LONGER_FILES]), said(found)
    assert middle <= MEDIAN_FILE


def test_exceptions_are_needed() -> None:
    """An exception for a file that is short again, or gone, goes too."""
    now = {module.path: len(module.lines) for module in modules()}
    assert not [path for path in LONGER_FILES if now.get(path, 0) <= MAX_FILE]
    long = {f"{module.path} {function.name}" for module in modules() for function in functions(module) if _length(function) > MAX_FUNCTION}
    assert not LONGER_FUNCTIONS.keys() - long


def test_functions_are_short() -> None:
    """60 lines at most, and at most one in twenty longer than 40."""
    lengths = [(_length(function), f"{module.path} {function.name}") for module in modules() for function in functions(module)]
    too_long = [f"{place}: {length}" for length, place in lengths if length > MAX_FUNCTION and place not in LONGER_FUNCTIONS]
    assert not too_long, said(too_long)
    long = [f"{place}: {length}" for length, place in lengths if length > LONG_FUNCTION]
    print(f"functions over {LONG_FUNCTION} lines: {len(long)} of {len(lengths)}")  # noqa: T201 - the figure to keep an eye on
    assert len(long) <= LONG_SHARE * len(lengths), said(long)
