"""The text of the auto-assignment function as the template carries it: `assign_profile.py` without comments and docstrings.

CloudFormation takes inline code up to 4 MB (the limit of 4,096 characters fell in 2022); ours has to leave room in a template of 51,200
bytes. Only whole lines, comments and leading blanks are removed, so the text is the same whatever Python makes it.
"""

from __future__ import annotations

import ast
import io
import re
import threading
import tokenize
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent / "assign_profile.py"
# Two threads that parse at once confuse the parser's count of its depth in Python 3.11: SystemError (python/cpython issue 106905).
_parsing = threading.Lock()


def lambda_source() -> str:
    """The function's code, one blank per level of indentation; it computes the same as the module (its syntax trees are equal)."""
    with _parsing:
        return _shortened()


@cache
def _shortened() -> str:
    return shorten(SOURCE.read_text(encoding="utf-8"))


def shorten(source: str) -> str:
    """Python text without docstrings, comments and blank lines. Indentation must be 4 blanks, strings must end on their line."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            for row in range(text.lineno - 1, text.end_lineno or text.lineno):
                lines[row] = ""
            if len(node.body) == 1:
                lines[text.lineno - 1] = " " * text.col_offset + "pass"
    return "".join(re.sub(r"^( {4})+", lambda blanks: " " * (len(blanks[0]) // 4), line) + "\n" for line in lines if line.strip())
