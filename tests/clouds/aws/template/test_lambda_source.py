"""The function as the template carries it computes what the module computes, in less space."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus.clouds.aws.template.lambda_source import SOURCE, lambda_source, shorten


def bare_tree(source: str) -> str:
    """The syntax tree without docstrings and positions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def test_only_comments_docstrings_and_blanks_are_gone() -> None:
    text = lambda_source()
    assert bare_tree(text) == bare_tree(SOURCE.read_text(encoding="utf-8"))
    assert "#" not in text
    assert len(text) < 15_000
    assert all(line.strip() for line in text.splitlines())


def test_shortening_keeps_a_body_that_is_only_a_docstring() -> None:
    assert shorten('class A:\n    """Says why."""\n\nx = "# no comment"  # a comment\n') == 'class A:\n pass\nx = "# no comment"\n'


def test_it_runs_as_a_file_named_index_with_boto3_alone(tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text(lambda_source(), encoding="utf-8")
    code = "import index, json; print(json.dumps([index.lambda_handler.__name__, index.code_of(KeyError('x'))]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["lambda_handler", "KeyError"]


@pytest.mark.parametrize("forbidden", ["isthmus", "cryptography"])
def test_it_imports_only_what_lambda_brings(forbidden: str) -> None:
    imported: set[Any] = set()
    for node in ast.walk(ast.parse(lambda_source())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert forbidden not in imported
    assert imported - set(sys.stdlib_module_names) == {"boto3", "botocore"}
