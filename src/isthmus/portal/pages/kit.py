"""The component kit: every component in every state, on one page."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Page, Redirect, Visit


@dataclass(frozen=True, kw_only=True, slots=True)
class KitPage:
    """What the kit shows: the name that was typed into its form, and what is wrong with it; hostile text that must appear as text."""

    name: str
    problems: Problems
    hostile: tuple[str, ...]
    changed: str


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "javascript:alert(1)",
    '<hx-partial hx-target="#main"><b>gone</b></hx-partial>',
    "\u202egnp.exe \u0000 \ufeff ﷽ 👩‍👩‍👧",
)


def view(visit: Visit) -> KitPage:
    """The kit as it is."""
    return KitPage(name="", problems=Problems(), hostile=HOSTILE, changed=visit.query.get("changed", ""))


def act(_visit: Visit, form: Form) -> Redirect | Invalid:
    """Its form wants a name of letters; it changes nothing."""
    name = form.get("kit-name")
    if name.isalpha():
        return Redirect(to="/portal/kit?changed=1")
    wrong = Problems(found=(Problem(field="kit-name", message="The name has letters only, and at least one."),))
    return Invalid(context=KitPage(name=name, problems=wrong, hostile=HOSTILE, changed=""))


PAGES = (Page(path="/portal/kit", template="kit_page.html", view=view, act=act, nav="kit"),)
