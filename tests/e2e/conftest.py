"""Whole programs for end-to-end tests; see `stack.py` for what they offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One program on SQLite for the whole session: a seeded account, no connector yet. Leave it as you found it, and running."""
    with Stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes programs of the test's own; arguments as `Stack` has them. They end with the test."""
    with ExitStack() as opened:

        def make(name: str = "stack", **arguments: Any) -> Stack:
            folder = tmp_path / name
            folder.mkdir()
            return opened.enter_context(Stack(folder, **arguments))

        yield make
