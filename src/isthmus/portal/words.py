"""How pages say things: times, numbers, names of states. Functions and filters of every template."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from isthmus.portal.page import local

_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (7, "day"), (4.35, "week"), (12, "month"), (float("inf"), "year"))

TONES: Mapping[str, str] = {
    "good": "Completed Succeeded Connected connected Running Create InStep Arrived allowed complete SUCCESS Valid Live Active Denied",
    "busy": "InProgress New Accepted inProgress waiting Waiting KEYGEN CONNECTING VERIFYING DISCOVERED SSM_WAIT ENQUEUED PENDING DELAYED "
    "Deleting AwaitingConnection Update Pending",
    "warn": "AuthorizationPending CompletedWithGaps disconnected Disconnected Drifted warning throttled stopped STOPPED Canceled "
    "Expired Revoked",
    "bad": "Failed blocked BLOCKED QUARANTINED error denied scp NotDeployed Unreadable Unreachable ERROR CANCELLED "
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED Delete Error",
}
_TONE = {word: tone for tone, words in TONES.items() for word in words.split()}
_SPOKEN = {
    "CompletedWithGaps": "Completed with gaps",
    "AuthorizationPending": "Waits for authorization",
    "InProgress": "In progress",
    "inProgress": "in progress",
    "AwaitingConnection": "Awaiting connection",
    "InStep": "In step",
    "NotDeployed": "Not deployed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "Given up",
    "PENDING": "Running",
    "KEYGEN": "Making its key",
    "SSM_WAIT": "Waiting for SSM",
    "ENQUEUED": "Waiting",
    "ERROR": "Failed",
    "SUCCESS": "Succeeded",
}


def instant_of(text: str | None) -> datetime | None:
    """An ISO 8601 instant as a time, None when it is none."""
    try:
        return datetime.fromisoformat(text or "").astimezone(UTC)
    except ValueError:
        return None


def ago(text: str | None, now: int) -> str:
    """How long ago an instant was, or how soon it will be; `now` in epoch milliseconds."""
    then = instant_of(text)
    if then is None:
        return "never"
    seconds = now / 1000 - then.timestamp()
    if abs(seconds) < 5:
        return "just now"
    amount = abs(seconds)
    for size, unit in _STEPS:
        if amount < size:
            whole = int(amount)
            spoken = f"{whole} {unit}{'' if whole == 1 else 's'}"
            return f"{spoken} ago" if seconds > 0 else f"in {spoken}"
        amount /= size
    raise AssertionError("the last step has no end")


@pass_context
def moment(context: Context, text: str | None) -> Markup:
    """A `<time>`: relative to the template's `now` to read, exact in its title."""
    then = instant_of(text)
    if then is None:
        return Markup('<span class="quiet">never</span>')
    # Long lists have one in each row: put together by hand, it costs a fifth of what Markup.format does.
    return Markup(f'<time datetime="{escape(text)}" title="{then:%Y-%m-%d %H:%M:%S} UTC">{escape(ago(text, context["now"]))}</time>')  # noqa: S704


@pass_context
def until(context: Context, text: str | None) -> Markup:
    """Up to when: `until 07:05 UTC, in 8 minutes`, with the day where it is another one; exact in its title. What is past is said so."""
    then = instant_of(text)
    if then is None:
        return Markup('<span class="quiet">without an end</span>')
    now = datetime.fromtimestamp(context["now"] / 1000, UTC)
    clock = f"{then:%H:%M} UTC" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M} UTC"
    told = Markup('until <time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>, {}')
    return told.format(text, then, clock, ago(text, context["now"]))


@pass_context
def soon(context: Context, text: str | None) -> Markup:
    """When something is to happen, by the minute, so that it need not be said anew every second; exact in its title."""
    then = instant_of(text)
    if then is None:
        return Markup('<span class="quiet">never</span>')
    seconds = then.timestamp() - context["now"] / 1000
    spoken = "now" if seconds <= 0 else "within a minute" if seconds < 60 else ago(text, context["now"] // 60_000 * 60_000)
    return Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>').format(text, then, spoken)


def number(value: int | None) -> str:
    """A number with thin groups; a dash for what is not known."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 machine`, `2 machines`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def tone(word: str) -> str:
    """How a state is coloured: good, busy, warn, bad or plain."""
    return _TONE.get(word, "plain")


def spoken(word: str) -> str:
    """A state as people read it."""
    return _SPOKEN.get(word) or (word.replace("_", " ").capitalize() if word.isupper() else word)


def short_type(name: str) -> str:
    """The last part of a resource type."""
    return name.rpartition("/")[2]


def lasted(start: str | None, end: str | None) -> str:
    """How long something took, from instant to instant: `12 s`, `3 min 5 s`, `2 h 10 min`; nothing when one of them is not known."""
    began, ended = instant_of(start), instant_of(end)
    if began is None or ended is None:
        return ""
    seconds = max(0.0, (ended - began).total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(int(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def anchor(kind: str, name: str) -> str:
    """The id of an element about something whose own name may hold anything: the same for the same name, safe in selectors."""
    return f"{kind}-{hashlib.blake2s(name.lower().encode(errors='surrogatepass'), digest_size=8).hexdigest()}"


def resource_path(id: str) -> str:
    """The page of a resource."""
    return f"/portal/resource{quote(id, safe='/:@!$()+,;=~-._')}"


def connector_path(id: str) -> str:
    """The page of a connector."""
    return f"/portal/connector{quote(id, safe='/:@!$()+,;=~-._')}"


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "anchor": anchor,
    "lasted": lasted,
    "local": local,
    "moment": moment,
    "plural": plural,
    "resource_path": resource_path,
    "soon": soon,
    "until": until,
    "connector_path": connector_path,
}
FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "tone": tone,
    "spoken": spoken,
    "short_type": short_type,
}
