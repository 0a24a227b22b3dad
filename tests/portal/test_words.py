"""How pages say things."""

from __future__ import annotations

from typing import Any, cast

import pytest

from isthmus.portal.pages.access.mapped import said
from isthmus.portal.words import until

NOW = 1_767_261_600_000
"""2026-01-01T10:00:00Z."""


@pytest.mark.parametrize(
    ("text", "clock", "relative"),
    [
        ("2026-01-01T10:08:30Z", "10:08 UTC", "in 8 minutes"),
        ("2026-01-02T09:00:00Z", "2026-01-02 09:00 UTC", "in 23 hours"),
        ("2026-01-01T11:59:00+02:00", "09:59 UTC", "1 minute ago"),
    ],
)
def test_until_names_the_instant_and_how_far_it_is(text: str, clock: str, relative: str) -> None:
    told = str(cast(Any, until)({"now": NOW}, text))
    assert told.startswith("until <time ")
    assert f">{clock}</time>, {relative}" in told


def test_what_has_no_end_is_said_so() -> None:
    assert "without an end" in str(cast(Any, until)({"now": NOW}, ""))


def test_statements_are_said_in_a_line_each() -> None:
    statements = [
        {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*", "Condition": {"Bool": {}}},
        {"Effect": "Deny", "NotAction": "iam:*", "NotResource": ["arn:aws:s3:::a"]},
    ]
    assert said(statements) == (
        "Allow s3:Get*, s3:List* on *, on conditions",
        "Deny everything but iam:* on everything but arn:aws:s3:::a",
    )
