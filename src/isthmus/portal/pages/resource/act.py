"""What the page of a resource does: tags one by one, and its removal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Redirect, Visit, local
from isthmus.portal.pages.inventory.filters import LIST
from isthmus.portal.pages.resource.view import head_of, show, tags_of
from isthmus.portal.words import resource_path

_TAGS = "providers/Microsoft.Resources/tags/default"


def act(visit: Visit, form: Form) -> object:
    """One of: `add` a tag, `change` its value, `remove` it, `delete` the resource. What the API refuses is said at the fields."""
    id = str(visit.id())
    body = visit.client.get(id)
    match form.get("do"):
        case "add":
            return _add(visit, body, form)
        case "change":
            return _change(visit, body, form)
        case "remove":
            return _remove(visit, body, form)
        case "delete":
            return _delete(visit, body)
        case _:
            raise ArmError("UnknownAction", "The form does not say what to do. Open the page again.", status=400)


def _add(visit: Visit, body: Mapping[str, Any], form: Form) -> Redirect | Invalid:
    name, value = form.get("tag-name"), form.get("tag-value")
    same = next((known for known in body.get("tags") or {} if known.lower() == name.lower()), None)
    if same is not None:
        problem = Problem(field="tag-name", message=f"There is a tag '{same}' already. Change its value in the list.")
        return _refused(visit, body, Problems(found=(problem,)), name=name, value=value)
    try:
        _write(visit, body, "Merge", name, value)
    except ArmError as error:
        return _refused(visit, body, _problems(error), name=name, value=value)
    return _back(body, "added")


def _change(visit: Visit, body: Mapping[str, Any], form: Form) -> Redirect | Invalid:
    """Only what was seen is changed: when somebody was quicker, that is said and nothing happens."""
    name, value, before = _exact(form, "name"), form.get("tag-value"), _exact(form, "before")
    tags = body.get("tags") or {}
    if name not in tags:
        problem = Problem(field="tag-name", message=f"The tag '{name[:64]}' was removed meanwhile. Add it again if it is to be there.")
        return _refused(visit, body, Problems(found=(problem,)), name=name, value=value)
    if tags[name] != before:
        problem = Problem(
            field="tag-value", message=f"Somebody changed it to '{tags[name]}' meanwhile. Save again to put yours in its place."
        )
        return _refused(visit, body, Problems(found=(problem,)), edited=name, value=value)
    try:
        _write(visit, body, "Merge", name, value)
    except ArmError as error:
        return _refused(visit, body, _problems(error), edited=name, value=value)
    return _back(body, "changed")


def _remove(visit: Visit, body: Mapping[str, Any], form: Form) -> Redirect | Invalid:
    name = _exact(form, "name")
    value = (body.get("tags") or {}).get(name)
    if value is None:
        return _back(body, "removed")
    try:
        _write(visit, body, "Delete", name, value)
    except ArmError as error:
        return _refused(visit, body, _problems(error))
    return _back(body, "removed")


def _delete(visit: Visit, body: Mapping[str, Any]) -> Redirect | Invalid:
    removal = head_of(visit.id(), body).removal
    if not removal:
        raise ArmError("NotOffered", "This is not deleted here. A connector is removed on its own page.", status=400)
    try:
        visit.client.delete(body["id"])
    except ArmError as error:
        return Invalid(context=show(visit, body, "delete", problems=problems_of(error, {})))
    return Redirect(to=local(LIST, done=removal))


def _exact(form: Form, name: str) -> str:
    """A hidden field as the page put it there: names of tags may begin or end with blanks."""
    return next((value for known, value in form.pairs if known == name), "")


def _write(visit: Visit, body: Mapping[str, Any], operation: str, name: str, value: str) -> None:
    visit.client.patch(f"{body['id']}/{_TAGS}", {"operation": operation, "properties": {"tags": {name: value}}})


def _problems(error: ArmError) -> Problems:
    """The API names the tag as a whole by `properties.tags`, its value by what follows that."""
    found = problems_of(error, {"properties.tags": "tag-name"})
    is_value = any((part.target or "").startswith("properties.tags.") for part in (error.details or (error,)))
    return Problems(found=tuple(Problem(field="tag-value", message=one.message) for one in found)) if is_value else found


def _refused(visit: Visit, body: Mapping[str, Any], problems: Problems, **typed: str) -> Invalid:
    tags = tags_of(visit, resource_path(body["id"]), {"tags": body.get("tags") or {}}, **typed)
    return Invalid(context=show(visit, body, "overview", tags=tags, problems=problems))


def _back(body: Mapping[str, Any], done: str) -> Redirect:
    return Redirect(to=local(resource_path(body["id"]), done=done))
