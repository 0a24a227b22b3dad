"""The clock: tokens and signatures hold for minutes, so that a clock that is wrong by five locks everybody out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import Asked
from isthmus.doctor.probes import Reply

_NOTICEABLE, _TOO_MUCH = 60.0, 300.0
_REMEDY = "Set the clock by NTP, for example: timedatectl set-ntp true"


def examine(asked: Mapping[str, Asked]) -> Iterator[Finding]:
    """Ours against the `Date` of those who answered, by their names."""
    for whose, answer in asked.items():
        check = f"clock against {whose}"
        ahead = _ahead(answer) if isinstance(answer, Reply) else None
        if ahead is None:
            yield unchecked(check, f"{whose[0].upper()}{whose[1:]} said no time.")
            continue
        told = f"{abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} {whose}"
        if abs(ahead) >= _TOO_MUCH:
            yield failed(check, f"{told}: signatures and tokens are refused.", _REMEDY)
        elif abs(ahead) >= _NOTICEABLE:
            yield warning(check, f"{told}; from {_TOO_MUCH:.0f} on, signatures and tokens are refused.", _REMEDY)
        else:
            yield ok(check, "the same, to a few seconds" if abs(ahead) < 5 else told)


def _ahead(reply: Reply) -> float | None:
    """Seconds by which our clock is ahead; the answer's time lies between asking and its coming."""
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    if reply.asked - 1 <= theirs <= reply.came + 1:
        return 0.0
    return reply.asked - theirs if theirs < reply.asked else reply.came - theirs
