"""Step 4: tags of the connector, which a new resource group gets too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isthmus.portal.forms import Form
from isthmus.portal.page import Page, Visit
from isthmus.portal.pages.add.draft import START, Draft
from isthmus.portal.pages.add.findings import Findings, tag_rows
from isthmus.portal.pages.add.steps import Step, Wizard


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRow:
    """One row: its number from 1, and what is wrong with its name and its value."""

    number: int
    name: str
    value: str
    name_problem: str
    value_problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TagsPage:
    """The step and its rows, an empty one at the end. `focus` is the row to type in next, 0 for none."""

    wizard: Wizard
    rows: tuple[TagRow, ...]
    focus: int
    group_exists: bool | None


def _page(_visit: Visit, draft: Draft, findings: Findings, wizard: Wizard) -> TagsPage:
    given = (*tag_rows(draft), ("", ""))
    rows = tuple(
        TagRow(
            number=number,
            name=name,
            value=value,
            name_problem=wizard.problems.at(f"tag-name-{number}"),
            value_problem=wizard.problems.at(f"tag-value-{number}"),
        )
        for number, (name, value) in enumerate(given, 1)
    )
    return TagsPage(wizard=wizard, rows=rows, focus=0, group_exists=findings.group_exists)


def _typed(form: Form, _draft: Draft) -> Mapping[str, Any]:
    """Rows that hold something, but for the one whose button "Remove" was pressed."""
    tags: dict[str, str] = {}
    repeated: list[dict[str, str]] = []
    removed = form.get("go").removeprefix("remove-")
    numbers = [name.removeprefix("tag-name-") for name, _ in form.pairs if name.startswith("tag-name-")]
    for number in dict.fromkeys(numbers):
        name, value = form.get(f"tag-name-{number}"), form.get(f"tag-value-{number}")
        if number == removed or not (name or value):
            continue
        if name in tags:
            repeated.append({"name": name, "value": value})
        else:
            tags[name] = value
    return {"tags": tags, "repeatedTags": repeated}


def _press(pressed: str, visit: Visit, draft: Draft, _form: Form) -> object:
    """Another row, or one row less: the same step again, with what was typed."""
    if pressed != "add" and not pressed.startswith("remove-"):
        return None
    page = TAGS.show(visit, draft)
    assert isinstance(page, TagsPage)
    return replace(page, focus=len(page.rows))


TAGS = Step(name="tags", page=_page, typed=_typed, press=_press)
PAGES = (Page(path=f"{START}/{{draft}}/tags", template="add_tags.html", view=TAGS.view, act=TAGS.act, nav="connectors"),)
