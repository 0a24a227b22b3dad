"""What a state means to people, once: a word that lists filter by, the phrase of sentences, and ARM's status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from isthmus.solutions.onboard import rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """One status: its `word`, the `phrase` after a number, and the states that mean it, each with ARM's word for it."""

    word: str
    phrase: str
    states: Mapping[str, str]


STATUSES = (
    Status(word="connected", phrase="connected", states={rows.CONNECTED: "Completed"}),
    Status(word="disconnected", phrase="disconnected", states={rows.DISCONNECTED: "Completed"}),
    Status(
        word="inProgress",
        phrase="in progress",
        states={**dict.fromkeys(sorted(rows.IN_FLIGHT), "InProgress"), rows.DISCOVERED: "New"},
    ),
    Status(word="waiting", phrase="waiting for Systems Manager", states={rows.SSM_WAIT: "InProgress"}),
    Status(word="stopped", phrase="stopped", states={rows.STOPPED: "InProgress"}),
    Status(word="blocked", phrase="blocked", states={rows.BLOCKED: "Failed", rows.QUARANTINED: "Failed"}),
    Status(word="excluded", phrase="excluded", states={rows.EXCLUDED: "Excluded"}),
    Status(word="gone", phrase="gone", states={rows.OFFBOARDING: "Removed", rows.REMOVED: "Removed"}),
)
"""In the order of sentences; every state stands in exactly one of them."""

_BY_STATE = MappingProxyType({state: status for status in STATUSES for state in status.states})


def status_of(state: str) -> str:
    """The word for a state."""
    return _BY_STATE[state].word


def arm_status(state: str) -> str:
    """ARM's status of an instance in a state."""
    return _BY_STATE[state].states[state]


def by_word(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Numbers by state and code as numbers by word, none left out."""
    return {status.word: sum(n for (state, _), n in counts.items() if state in status.states) for status in STATUSES}
