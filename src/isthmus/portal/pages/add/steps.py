"""What the steps of the wizard have in common: their frame, and the way of a form: saved as typed, judged on "Next" alone, gone on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import TOKEN, Form, Problem, Problems
from isthmus.portal.page import Invalid, Redirect, Visit
from isthmus.portal.pages.add.draft import (
    ORDER,
    STEPS,
    Change,
    Draft,
    DraftChanged,
    DraftGone,
    address,
    changes,
    find_draft,
    require_draft,
    save,
    start_address,
)
from isthmus.portal.pages.add.findings import Findings, judge

_HIDDEN = (TOKEN, "seen", "go", "draft", "connector")
_OURS_TO_SHOW = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A step in the list of steps: `state` is done, wrong or empty."""

    name: str
    title: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Wizard:
    """The frame of a step. `problems` stand at the fields, `summary` above them once a form was refused, which
    `is_sent` says. `seen` is the seal of what the form shows; `changed` says what somebody else saved meanwhile, where `is_stale`.
    """

    draft: str
    step: str
    title: str
    steps: tuple[Entry, ...]
    action: str
    discard: str
    seen: str
    subscription: str
    problems: Problems
    summary: Problems
    warnings: tuple[str, ...]
    is_sent: bool
    is_stale: bool
    changed: tuple[Change, ...]
    following: str
    preceding: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GonePage:
    """A draft that is there no more, with what was typed when it was noticed."""

    typed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step: how its page is made of a draft, and what its form collects.

    `press` answers buttons of its own by their values, None for those that every step has.
    """

    name: str
    page: Callable[[Visit, Draft, Findings, Wizard], object]
    typed: Callable[[Form, Draft], Mapping[str, Any]] = lambda _form, _draft: {}
    press: Callable[[str, Visit, Draft, Form], object] = lambda _pressed, _visit, _draft, _form: None

    def view(self, visit: Visit) -> object:
        """The page as the draft stands."""
        try:
            return self.show(visit, require_draft(visit))
        except DraftGone:
            return gone()

    def act(self, visit: Visit, form: Form) -> object:
        """A form of this step."""
        try:
            return self.take(visit, form, require_draft(visit))
        except DraftGone:
            return gone(form)

    def show(
        self,
        visit: Visit,
        draft: Draft,
        *,
        is_sent: bool = False,
        saved: Draft | None = None,
        refusal: Problems | None = None,
        findings: Findings | None = None,
    ) -> object:
        """The page of a draft. `saved` is what is stored where the draft is what somebody typed; `refusal` is why it was not saved."""
        stored = draft if saved is None else saved
        if findings is None:
            findings = judge(visit, stored) if stored.etag else Findings()
        return self.page(visit, draft, findings, self._wizard(visit, draft, findings, is_sent=is_sent, saved=saved, refusal=refusal))

    def take(self, visit: Visit, form: Form, draft: Draft) -> object:
        """Save what was typed, whatever it is, and go where the button says. Raises DraftGone."""
        typed = self.typed(form, draft)
        try:
            saved = save(visit, draft, self.name, typed, form.get("seen"), self.name)
        except DraftChanged as changed:
            return Invalid(context=self.show(visit, changed.draft.with_typed(typed, self.name), saved=changed.draft))
        except ArmError as error:
            return self.refuse(visit, draft.with_typed(typed, self.name), error, saved=draft)
        return self.go_on(visit, form, saved)

    def go_on(self, visit: Visit, form: Form, draft: Draft) -> object:
        """Where the button leads: on, if nothing is wrong with this step; anywhere else in any case."""
        pressed = form.get("go", "next")
        answer = self.press(pressed, visit, draft, form)
        if answer is not None:
            return answer
        if pressed == "next":
            findings = judge(visit, draft)
            if findings.problems(self.name):
                return Invalid(context=self.show(visit, draft, is_sent=True, findings=findings))
        if pressed == "close":
            return Redirect(to=start_address(visit, "kept"))
        target = self._target(pressed)
        save(visit, draft, self.name, {}, draft.seal(self.name), target)
        return Redirect(to=address(visit, draft.name, target))

    def refuse(self, visit: Visit, draft: Draft, error: ArmError, *, saved: Draft) -> Invalid:
        """The API did not save: the page says why, with what was typed. Raises what is no answer to a form."""
        if error.status == 401 or error.status >= 500:
            raise error
        found = Problems(found=tuple(Problem(field="", message=one.message) for one in (error.details or (error,))))
        return Invalid(context=self.show(visit, draft, saved=saved, refusal=found))

    def _target(self, pressed: str) -> str:
        here = ORDER.index(self.name)
        if pressed == "previous":
            return ORDER[max(here - 1, 0)]
        return pressed if pressed in STEPS else ORDER[min(here + 1, len(ORDER) - 1)]

    def _wizard(
        self, visit: Visit, draft: Draft, findings: Findings, *, is_sent: bool, saved: Draft | None, refusal: Problems | None
    ) -> Wizard:
        here = ORDER.index(self.name)
        is_judged = is_sent or draft.reached > here
        found = findings.problems(self.name) if is_judged and saved is None else Problems()
        stored = draft if saved is None else saved
        is_stale = saved is not None and refusal is None
        return Wizard(
            draft=stored.name if stored.etag else "",
            step=self.name,
            title=STEPS[self.name],
            steps=tuple(_entry(name, draft, findings, is_sent=is_sent and name == self.name) for name in ORDER),
            action=address(visit, stored.name if stored.etag else "", self.name),
            discard=address(visit, draft.name, "discard"),
            seen=stored.seal(self.name),
            subscription=next((name for id, name in visit.subscriptions if id == visit.subscription), visit.subscription),
            problems=found,
            summary=refusal or (found if is_sent else Problems()),
            warnings=findings.warnings(self.name) if is_judged else (),
            is_sent=is_sent,
            is_stale=is_stale,
            changed=changes(saved, draft, self.name) if saved is not None and is_stale else (),
            following=STEPS[ORDER[here + 1]] if here + 1 < len(ORDER) else "",
            preceding=STEPS[ORDER[here - 1]] if here else "",
        )


def gone(form: Form | None = None) -> Invalid:
    """The page of a draft that is there no more; what was typed stays readable."""
    pairs = form.pairs if form else ()
    typed = tuple((name, value[:_OURS_TO_SHOW]) for name, value in pairs if name not in _HIDDEN and value.strip())
    return Invalid(context=GonePage(typed=typed), status=404)


def _entry(name: str, draft: Draft, findings: Findings, *, is_sent: bool) -> Entry:
    """A template that cannot be made because of earlier steps is not done, and nothing is wrong with it."""
    is_judged = is_sent or ORDER.index(name) < draft.reached
    needed = ORDER[:2] if name == "template" else ()
    is_possible = not any(findings.problems(before) for before in needed)
    state = "" if not is_judged or not is_possible else "wrong" if findings.problems(name) else "done"
    return Entry(name=name, title=STEPS[name], state=state)


__all__ = ["Entry", "GonePage", "Step", "Wizard", "find_draft", "gone"]
