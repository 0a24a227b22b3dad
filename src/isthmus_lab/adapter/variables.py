"""Policy variables (`${aws:SourceIdentity}`), which ministack leaves as they are written.

A variable stands for one value of the request in Resource, NotResource and the values of conditions; without a value, and without a
default, it matches nothing. Source: IAM User Guide, "IAM policy elements: variables and tags"; not compared with AWS. Wildcards inside of
a value count as wildcards here.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ministack.core import iam_evaluator

_VARIABLE = re.compile(r"\$\{([^},]+)(?:,\s*'([^']*)')?\}")
_NOTHING = "\x00"
_LITERALS = {"*": "*", "?": "?", "$": "$"}


def fill_variables() -> None:
    """Let statements be filled with the request's values before they are matched."""
    plain = iam_evaluator._first_match

    def filled_match(context: Any, statements: Sequence[Any], effect: str) -> Any:
        return plain(context, [_statement(one, context) for one in statements], effect)

    iam_evaluator._first_match = filled_match


def filled(text: str, context: Any) -> str:
    """The text with its variables replaced."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1].strip(), found[2]
        if name in _LITERALS:
            return _LITERALS[name]
        held = iam_evaluator._resolve_condition_key(name, context)
        if isinstance(held, list) or held is None:
            return _NOTHING if default is None else default
        return str(held)

    return _VARIABLE.sub(value, text)


def _statement(statement: Any, context: Any) -> Any:
    if "${" not in f"{statement.resources}{statement.not_resources}{statement.conditions}":
        return statement
    return replace(
        statement,
        resources=_value(statement.resources, context),
        not_resources=_value(statement.not_resources, context),
        conditions=_value(statement.conditions, context),
    )


def _value(value: Any, context: Any) -> Any:
    if isinstance(value, dict):
        return {name: _value(one, context) for name, one in value.items()}
    if isinstance(value, list):
        return [_value(one, context) for one in value]
    return filled(value, context) if isinstance(value, str) else value
