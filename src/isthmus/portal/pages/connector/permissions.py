"""Every action that the solutions need, tried in the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problems
from isthmus.portal.page import Invalid, Live, Piece, Redirect, Visit
from isthmus.portal.pages.connector.following import Followed, follow, latest, started_by
from isthmus.portal.pages.connector.subject import Connector, Head, head_of, read_connector, refusal, tab_path, title_of

_KIND = "test-permissions"
_SHOWN = ("", "refused", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One action: allowed, denied or unknown, what AWS says, and what to do."""

    action: str
    word: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """What the test of a solution's role told: connected or not, in words, what to do, and its actions, those not filtered out."""

    title: str
    status: str
    details: str
    remedy: str
    allowed: int
    refused: int
    unknown: int
    actions: tuple[Verdict, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PermissionsPage:
    """The tab. `test` is the test that the address names, or the last one; `shown` is the filter."""

    head: Head
    test: Followed | None
    tested: tuple[Tested, ...]
    shown: str
    filters: tuple[tuple[str, str, str], ...]
    has_solutions: bool
    action: str
    template_to: str
    solutions_to: str


def view(visit: Visit) -> PermissionsPage:
    """Read it: connector, solutions, the test, rights."""
    return _page(visit, read_connector(visit))


def _page(visit: Visit, connector: Connector, problems: Problems | None = None) -> PermissionsPage:
    test = follow(visit) or latest(visit, _KIND)
    shown = visit.query.get("show", "")
    shown = shown if shown in _SHOWN else ""
    results = test.told.get("solutionTypes", ()) if test and test.state == "succeeded" else ()
    # The address may name another operation of this connector, which tells something else.
    tested = tuple(_tested(one, shown) for one in results if "actions" in one)
    refused, unknown = sum(one.refused for one in tested), sum(one.unknown for one in tested)
    total = sum(one.allowed for one in tested) + refused + unknown
    named = visit.query.get("operation", "")
    counted = (("", "All actions", total), ("refused", "Refused", refused), ("unknown", "Not tested", unknown))
    return PermissionsPage(
        head=head_of(visit, connector, "permissions", problems=problems),
        test=test,
        tested=tested,
        shown=shown,
        filters=tuple(
            (key, f"{text} ({number})", tab_path(connector.id, "permissions", show=key, operation=named))
            for key, text, number in counted
            if number or key in ("", "refused", shown)
        ),
        has_solutions=bool(connector.solutions),
        action=tab_path(connector.id, "permissions"),
        template_to=tab_path(connector.id, "template"),
        solutions_to=tab_path(connector.id, "solutions"),
    )


def act(visit: Visit, _form: Form) -> Redirect | Invalid:
    """Test now; the page follows."""
    connector = read_connector(visit)
    try:
        answer = visit.client.post(f"{connector.id}/testPermissions")
    except ArmError as error:
        return Invalid(context=_page(visit, connector, refusal(error)), status=error.status)
    return Redirect(to=tab_path(connector.id, "permissions", operation=started_by(answer)))


def live(visit: Visit, piece: Piece) -> Live:
    """Whether the test has ended; then the page fetches what it told."""
    test = follow(visit)
    is_running = test is not None and test.is_running
    return Live(parts={"test-said": piece("test_said", test=test)}, shape=test.state if test else "gone", ended=not is_running)


def _tested(told: Mapping[str, Any], shown: str) -> Tested:
    verdicts = [_verdict(one) for one in told["actions"]]
    words = [one.word for one in verdicts]
    wanted = {"refused": "denied", "unknown": "unknown"}.get(shown)
    return Tested(
        title=title_of(told["solutionType"]),
        status=told["status"],
        details=told["statusDetails"],
        remedy=told["remedy"],
        allowed=words.count("allowed"),
        refused=words.count("denied"),
        unknown=words.count("unknown"),
        actions=tuple(one for one in verdicts if wanted in (None, one.word)),
    )


def _verdict(one: Mapping[str, Any]) -> Verdict:
    word = {True: "allowed", False: "denied"}.get(one["allowed"], "unknown")
    remedy = ""
    if word == "denied":
        is_organizations = "organization" in one["message"]
        remedy = "Ask who administers the organization to allow it." if is_organizations else "Update the stack from the present template."
    elif word == "unknown":
        remedy = "Update the stack: its roles may then ask IAM's simulator about themselves."
    return Verdict(action=one["action"], word=word, message=one["message"], remedy=remedy)
