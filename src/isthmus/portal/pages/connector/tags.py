"""Tags of the connector: read, changed, and never saved over what somebody else has saved meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.page import Invalid, Redirect, Visit
from isthmus.portal.pages.connector.subject import Connector, Head, head_of, read_connector, refusal, seal_of, tab_path

_ATTEMPTS = 5
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A tag in the form: its number from 1, and what is wrong with its name and its value."""

    number: int
    name: str
    value: str
    name_problem: str
    value_problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A tag that somebody else saved meanwhile: what is saved, and what was typed here (None: no such tag)."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TagsPage:
    """The tab: rows with an empty one at the end, `focus` the one to type in next, `changed` what others saved meanwhile."""

    head: Head
    rows: tuple[Row, ...]
    focus: int
    seen: str
    changed: tuple[Changed, ...]
    action: str


def view(visit: Visit) -> TagsPage:
    """Read it: connector, solutions, rights."""
    connector = read_connector(visit)
    return _page(visit, connector, tuple(connector.tags.items()))


def _page(
    visit: Visit,
    connector: Connector,
    typed: Pairs,
    *,
    problems: Problems | None = None,
    focus: int = 0,
    seen: str = "",
    is_stale: bool = False,
) -> TagsPage:
    problems = problems or Problems()
    return TagsPage(
        head=head_of(visit, connector, "tags", problems=problems),
        rows=tuple(
            Row(
                number=number,
                name=name,
                value=value,
                name_problem=problems.at(f"tag-name-{number}"),
                value_problem=problems.at(f"tag-value-{number}"),
            )
            for number, (name, value) in enumerate((*typed, ("", "")), 1)
        ),
        focus=focus,
        seen=seen or seal_of(dict(connector.tags)),
        changed=_changes(connector, typed) if is_stale else (),
        action=tab_path(connector.id, "tags"),
    )


def act(visit: Visit, form: Form) -> Redirect | Invalid:
    """Another row, a row less, or save."""
    connector, pressed = read_connector(visit), form.get("go", "save")
    typed = _typed(form, pressed.removeprefix("remove-"))
    if pressed == "add" or pressed.startswith("remove-"):
        return Invalid(context=_page(visit, connector, typed, focus=len(typed) + 1, seen=form.get("seen")), status=200)
    twice = [number for number, (name, _) in enumerate(typed, 1) if name.lower() in {one.lower() for one, _ in typed[: number - 1]}]
    unnamed = [number for number, (name, _) in enumerate(typed, 1) if not name]
    found = [Problem(field=f"tag-name-{number}", message=f"'{typed[number - 1][0]}' stands there twice. Remove one.") for number in twice]
    found += [Problem(field=f"tag-name-{number}", message="A tag needs a name. Give it one, or empty its value.") for number in unnamed]
    if found:
        return Invalid(context=_page(visit, connector, typed, problems=Problems(found=tuple(found)), seen=form.get("seen")))
    return _save(visit, connector, typed, form.get("seen"))


def _save(visit: Visit, connector: Connector, typed: Pairs, seen: str) -> Redirect | Invalid:
    for _ in range(_ATTEMPTS):
        if seen != seal_of(dict(connector.tags)):
            break
        try:
            visit.client.patch(connector.id, {"tags": dict(typed)}, etag=connector.etag)
        except ArmError as error:
            if error.status == 412:
                # Something changed, perhaps not the tags: look again.
                connector = read_connector(visit)
                continue
            return Invalid(context=_page(visit, connector, typed, problems=_problems(error, typed), seen=seen), status=_status(error))
        return Redirect(to=tab_path(connector.id, "tags", done="tags"))
    return Invalid(context=_page(visit, connector, typed, is_stale=True), status=422)


def _status(error: ArmError) -> int:
    return error.status if error.status == 403 else 422


def _problems(error: ArmError, typed: Pairs) -> Problems:
    """The API names a tag by `tags.<name>`, or a name that cannot be one in its message; its row is where it is mended."""
    refusal(error)
    return Problems(found=tuple(Problem(field=_field(part, typed), message=part.message) for part in error.details or (error,)))


def _field(part: ArmError, typed: Pairs) -> str:
    for number, (name, _) in enumerate(typed, 1):
        if part.target == f"tags.{name[:64]}":
            return f"tag-value-{number}"
        if part.code == "InvalidTagNameCharacters" and f"'{name[:64]}'" in part.message:
            return f"tag-name-{number}"
    return ""


def _typed(form: Form, removed: str) -> Pairs:
    """Rows that hold something, but for the one whose button "Remove" was pressed."""
    numbers = dict.fromkeys(name.removeprefix("tag-name-") for name, _ in form.pairs if name.startswith("tag-name-"))
    pairs = ((form.get(f"tag-name-{number}"), form.get(f"tag-value-{number}")) for number in numbers if number != removed)
    return tuple((name, value) for name, value in pairs if name or value)


def _changes(connector: Connector, typed: Pairs) -> tuple[Changed, ...]:
    saved: dict[str, Any] = dict(connector.tags)
    mine = dict(typed)
    names = [name for name in {**saved, **mine} if saved.get(name) != mine.get(name)]
    return tuple(Changed(path=name, before=saved.get(name), after=mine.get(name)) for name in names)
