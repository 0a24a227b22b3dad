"""The revocation policy: one document that denies people and grants everything, on every person's role of an account. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from isthmus.clouds.aws.template.directories import OIDC, Directory
from isthmus.clouds.aws.template.federation import PERSON_TAG

_EVERYBODY = "IsthmusEverybody"
MAX_POLICY: Final = 6_144
"""Characters of a managed policy, blanks left out (IAM quotas)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Denied:
    """Whom a document denies. `before`, the instants of `readmitted` and `ended_before` are seconds since 1970: sessions that began earlier
    are denied; the last counts where single grants do not fit.

    `people` may not come back yet, so their instant may be raised at will; `readmitted` may, so each keeps the instant of their own.
    """

    people: frozenset[str] = frozenset()
    before: int = 0
    readmitted: Mapping[str, int] = field(default_factory=dict)
    grants: frozenset[str] = frozenset()
    ended_before: int = 0


class Keys(Enum):
    """What sessions of an account carry of their person: a source identity alone (ours), whatever the directory was set up to send, or
    nothing that we would know (tokens of a directory whose subjects are its own secret)."""

    SOURCE = "source"
    DIRECTORY = "directory"
    NOTHING = "nothing"


def keys_of(directory: Directory | None) -> Keys:
    """What sessions carry where an account trusts a directory, or us."""
    return Keys.SOURCE if directory is None else Keys.NOTHING if directory.mode == OIDC else Keys.DIRECTORY


def revocation_policy(denied: Denied, protection: Mapping[str, Any], keys: Keys = Keys.SOURCE) -> str:
    """The document as IAM takes it, compact and in a fixed order; `protection` always stands in it.

    A directory lets people begin sessions without us, so whom it may name is denied whenever a session began. Where the ids do not fit, or
    sessions carry nothing that names their person, every session that began before the latest instant is denied instead: others begin again
    without noticing, and who is denied cannot, or (by a directory) only as long as that lets them.
    """
    exact = [
        *_people("IsthmusRevoked", denied.people, denied.before if keys is Keys.SOURCE else None, keys),
        *_readmitted(denied.readmitted, keys),
        *([_deny("IsthmusEnded", {"StringEquals": {"aws:PrincipalTag/grant": sorted(denied.grants)}})] if denied.grants else []),
    ]
    text = _text([protection, *exact])
    if len(text) <= MAX_POLICY and (keys is not Keys.NOTHING or not exact):
        return text
    latest = max(denied.before, denied.ended_before, *denied.readmitted.values())
    return _text([protection, _deny(_EVERYBODY, {"DateLessThan": {"aws:TokenIssueTime": _instant(latest)}})])


def names_everybody(text: str) -> bool:
    """Whether a document names whom it denies, as long as they fit."""
    return _EVERYBODY not in text


def _readmitted(people: Mapping[str, int], keys: Keys) -> list[dict[str, Any]]:
    """Statements for each instant: that of somebody else would deny what a person began after they were let in again."""
    found: list[dict[str, Any]] = []
    for number, before in enumerate(sorted(set(people.values())), 1):
        ids = [id for id, instant in people.items() if instant == before]
        found += _people("IsthmusReadmitted" if number == 1 else f"IsthmusReadmitted{number}", ids, before, keys)
    return found


def _people(sid: str, ids: Collection[str], before: int | None, keys: Keys) -> list[dict[str, Any]]:
    """A statement for each way in which a session may carry its person: conditions of one statement would have to hold together."""
    if not ids:
        return []
    begun = {} if before is None else {"DateLessThan": {"aws:TokenIssueTime": _instant(before)}}
    found = [_deny(sid, {"StringEquals": {"aws:SourceIdentity": sorted(ids)}, **begun})]
    if keys is Keys.DIRECTORY:
        found.append(_deny(f"{sid}Tag", {"StringEquals": {f"aws:PrincipalTag/{PERSON_TAG}": sorted(ids)}, **begun}))
        found.append(_deny(f"{sid}Name", {"StringLike": {"aws:userid": [f"*:{id}" for id in sorted(ids)]}, **begun}))
    return found


def _deny(sid: str, condition: Mapping[str, Any]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": dict(condition)}


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [dict(one) for one in statements]}, separators=(",", ":"))
