"""The credential report of IAM: one document about every user, where asking for each one's keys would take thousands of calls.

Source: IAM User Guide, "Generate credential reports for your AWS account" (columns; AWS makes a new one at most every four hours).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime

from isthmus.clouds.aws.trustlint.estate import AccessKey, User


def users(text: str) -> tuple[User, ...]:
    """The users of a report. Raises ValueError for what is no report."""
    reader = csv.DictReader(io.StringIO(text))
    if not {"user", "arn", "mfa_active", "password_enabled", "access_key_1_active"} <= set(reader.fieldnames or ()):
        raise ValueError("the credential report does not have the columns that IAM documents")
    return tuple(
        User(
            arn=row["arn"],
            name=row["user"],
            has_password=_is_true(row, "password_enabled"),
            has_mfa=_is_true(row, "mfa_active"),
            keys=tuple(_keys(row)),
        )
        for row in reader
    )


def _is_true(row: Mapping[str, str], column: str) -> bool:
    return row.get(column) == "true"


def _keys(row: Mapping[str, str]) -> Iterator[AccessKey]:
    for number in (1, 2):
        made = _instant(row.get(f"access_key_{number}_last_rotated"))
        if _is_true(row, f"access_key_{number}_active") and made is not None:
            yield AccessKey(number=number, made_at=made, used_at=_instant(row.get(f"access_key_{number}_last_used_date")))


def _instant(written: str | None) -> float | None:
    try:
        return datetime.fromisoformat(written or "").timestamp()
    except ValueError:
        return None
