"""The reference pages are what the source says."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from isthmus.cli.reference import FOLDER, error_codes, pages

written = cache(pages)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["settings.md", "cli.md", "errors.md", "types.md", "metrics.md"])
def test_the_committed_page_is_fresh(name: str) -> None:
    assert (FOLDER / "reference" / name).read_text() == written()[name], "run `make reference` and commit the result"


def test_codes_are_found_in_every_form() -> None:
    source = """
raise ArmError("First", "m", status=404)
raise ArmError("Second" if x else "Third", "m")
raise invalid("m", code="Fourth")
raise conflict("m")
self.stored(id, code="Fifth")
raise ArmError(code, "m", status=status)
"""
    found = set(error_codes(ast.parse(source)))
    assert found == {("First", "404"), ("Second", "400"), ("Third", "400"), ("Fourth", "400"), ("Conflict", "409"), ("Fifth", "varies")}
