"""The revocation policy: one document that denies people and grants everything, on every person's role of an account. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_EVERYBODY = "IsthmusEverybody"
MAX_POLICY: Final = 6_144
"""Characters of a managed policy, blanks left out (IAM quotas)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Denied:
    """Whom a document denies. `before`, `readmitted_before` and `ended_before` are seconds since 1970: sessions that began earlier are
    denied; the last counts where single grants do not fit.

    `people` may not come back yet, so their instant may be raised at will; `readmitted` may, so theirs stays where it was.
    """

    people: frozenset[str] = frozenset()
    before: int = 0
    readmitted: frozenset[str] = frozenset()
    readmitted_before: int = 0
    grants: frozenset[str] = frozenset()
    ended_before: int = 0


def revocation_policy(denied: Denied, protection: Mapping[str, Any]) -> str:
    """The document as IAM takes it, compact and in a fixed order; `protection` always stands in it.

    Where the ids do not fit, every session that began before the latest instant is denied instead: others mint again without noticing,
    and who is denied cannot.
    """
    exact = [
        _people("IsthmusRevoked", denied.people, denied.before),
        _people("IsthmusReadmitted", denied.readmitted, denied.readmitted_before),
        _deny("IsthmusEnded", {"StringEquals": {"aws:PrincipalTag/grant": sorted(denied.grants)}}) if denied.grants else None,
    ]
    text = _text([protection, *(one for one in exact if one is not None)])
    if len(text) <= MAX_POLICY:
        return text
    latest = max(denied.before, denied.readmitted_before, denied.ended_before)
    return _text([protection, _deny(_EVERYBODY, {"DateLessThan": {"aws:TokenIssueTime": _instant(latest)}})])


def names_everybody(text: str) -> bool:
    """Whether a document names whom it denies, as long as they fit."""
    return _EVERYBODY not in text


def _people(sid: str, ids: Collection[str], before: int) -> dict[str, Any] | None:
    if not ids:
        return None
    return _deny(sid, {"StringEquals": {"aws:SourceIdentity": sorted(ids)}, "DateLessThan": {"aws:TokenIssueTime": _instant(before)}})


def _deny(sid: str, condition: Mapping[str, Any]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": dict(condition)}


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [dict(one) for one in statements]}, separators=(",", ":"))
