"""JSON that clouds write: what is none is refused, and reading it loads no cloud."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isthmus.clouds.documents import read_json


@pytest.mark.parametrize("content", [b'{"a": [1, 2.5, null, "\xc3\xbc"]}', '{"a": [1, 2.5, null, "ü"]}'])
def test_a_value_is_read_from_text_and_bytes(content: bytes | str) -> None:
    assert read_json(content) == {"a": [1, 2.5, None, "ü"]}


ODD = ["", "{", "NaN", "[Infinity]", "[-Infinity]", "[1e999]", "[-1e999]", "[" * 200_000, "\ufeff{}", "{} {}"]


@pytest.mark.parametrize("content", [*ODD, b"\xff{}", b"\xef\xbb\xbf{}", '{"a": 1}'.encode("utf-16")])
def test_what_is_no_json_is_refused(content: bytes | str) -> None:
    with pytest.raises(ValueError):
        read_json(content)


def test_the_log_loads_no_cloud() -> None:
    asked = "import sys, isthmus.audit.events; print([name for name in sys.modules if name.startswith('isthmus.clouds.aws')])"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
