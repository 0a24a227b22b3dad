"""Writes the golden files: `python -m tests.golden.write [part …]`. They are never edited by hand.

A part is a function that says which files should exist below `tests/golden` and with which text. Files of a part's folder that it no
longer names are removed. What the golden files show was made by our code; none was checked against the real cloud.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from isthmus.clouds.aws.template import authentication_template, template_text
from tests.clouds.aws.template.requests import COMBINATIONS, GOLDEN_ACTIONS

GOLDEN = Path(__file__).parent


def template() -> Mapping[str, str]:
    """One authentication template per combination, with a fixed list of inventory actions."""
    return {f"{name}.json": template_text(authentication_template(wanted, GOLDEN_ACTIONS)) for name, wanted in COMBINATIONS.items()}


PARTS: Mapping[str, Callable[[], Mapping[str, str]]] = {"template": template}
"""Folder below `tests/golden` to the function that makes its files."""


def write(part: str) -> list[Path]:
    """Write one part; the files that changed."""
    folder = GOLDEN / part
    folder.mkdir(parents=True, exist_ok=True)
    files = PARTS[part]()
    changed = []
    for old in folder.iterdir():
        if old.name not in files:
            old.unlink()
            changed.append(old)
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PARTS:
        for path in write(chosen):
            sys.stdout.write(f"{path}\n")
