"""Policy variables stand for values of the request, and for nothing where there are none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from isthmus_lab.adapter import variables

CONTEXT = SimpleNamespace(values={"aws:SourceIdentity": "alice", "aws:PrincipalTag/team": "red", "aws:TagKeys": ["a", "b"]})


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables.iam_evaluator, "_resolve_condition_key", lambda name, context: context.values.get(name))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("session/*.${aws:SourceIdentity}-*", "session/*.alice-*"),
        ("${aws:PrincipalTag/team}/${aws:SourceIdentity}", "red/alice"),
        ("${aws:PrincipalTag/none, 'nobody'}", "nobody"),
        ("${aws:PrincipalTag/team, 'nobody'}", "red"),
        ("a${*}b${$}", "a*b$"),
        ("plain $ text", "plain $ text"),
    ],
)
def test_variables_are_filled(text: str, expected: str) -> None:
    assert variables.filled(text, CONTEXT) == expected


@pytest.mark.parametrize("text", ["${aws:PrincipalTag/none}", "${aws:TagKeys}"])
def test_what_has_no_single_value_matches_nothing(text: str) -> None:
    assert "\x00" in variables.filled(text, CONTEXT)
