"""The form of a mapping: a new one, or another wording of one that is there. What the form does not show stays as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import parse_resource
from isthmus.portal.forms import Form, Problem, Problems, problems_of
from isthmus.portal.page import Invalid, Redirect, Visit
from isthmus.portal.pages.access.mapped import MAPPINGS, Mapped, mapped_of, mapping_path
from isthmus.portal.pages.access.overview import connectors_of
from isthmus.portal.pages.access.reading import PATH, mapping_id
from isthmus.portal.principals import read_principals

NEW = f"{PATH}/new"
_KEPT = frozenset(("claims", "requiredContexts", "allowedAddresses", "clientId", "leastPrivilege"))
"""Properties that a mapping may have and the form does not show."""
_TARGETS = {
    "properties.description": "description",
    "properties.groups": "groups",
    "properties.managedPolicyArns": "policies",
    "properties.statements": "statements",
    "properties.machineTag": "machine-tag",
    "properties.leaseSeconds": "lease",
    "properties.activation.approverGroups": "approvers",
    "properties.activation.approvals": "approvals",
    "properties.activation.longestSeconds": "longest",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingForm:
    """What may be chosen, and what was typed. `has_claims` tells that claims stand beside the groups, which need not be then. `seen` is
    the ETag of what the form was made of, empty for a new mapping."""

    id: str
    connectors: tuple[tuple[str, str], ...]
    connector: str
    name: str
    description: str
    groups: str
    policies: str
    statements: str
    machine_tag: str
    has_claims: bool
    requires_mfa: bool
    lease: str
    activation: str
    approvers: str
    approvals: str
    longest: str
    seen: str
    action: str
    back: str
    may_map: bool
    problems: Problems

    @property
    def is_new(self) -> bool:
        """Whether nothing is stored yet."""
        return not self.id


def new_view(visit: Visit) -> MappingForm:
    """The empty form; `connector` of the query is chosen already."""
    typed = Form(pairs=(("connector", visit.query.get("connector", "")), ("mfa", "true"), ("lease", "300"), ("activation", "Standing")))
    return _new_form(visit, typed, Problems())


def create(visit: Visit, form: Form) -> Redirect | Invalid:
    """Make it, or say at its field what is wrong."""
    problems, properties = _properties(form, {})
    connector, name = form.get("connector"), form.get("name")
    if not name or "/" in name:
        problems.insert(0, Problem(field="name", message="Name the role: a letter first, then letters and digits, 32 in all."))
    if not connector:
        problems.insert(0, Problem(field="connector", message="Choose the connector of the account."))
    if problems:
        return Invalid(context=_new_form(visit, form, Problems(found=tuple(problems))))
    id = parse_resource(connector).extension(MAPPINGS, name)
    try:
        visit.client.put(str(id), {"properties": properties}, is_new=True)
    except ArmError as error:
        if error.status == 412:
            message = f"There is a mapping '{name}' in this account already. Change that one, or choose another name."
            return Invalid(context=_new_form(visit, form, Problems(found=(Problem(field="name", message=message),))))
        return Invalid(context=_new_form(visit, form, _wrong(error, properties)), status=_status(error))
    return Redirect(to=f"{mapping_path(str(id))}?done=created")


def edit_view(visit: Visit) -> MappingForm:
    """The form with what is stored."""
    answer = visit.client.fetch(mapping_id(visit))
    return _edit_form(visit, mapped_of(answer.body), _stored(mapped_of(answer.body), answer.etag), Problems())


def edit(visit: Visit, form: Form) -> Redirect | Invalid:
    """Save it, unless somebody else has saved it since the form was made."""
    answer = visit.client.fetch(mapping_id(visit))
    mapping = mapped_of(answer.body)
    problems, properties = _properties(form, answer.body["properties"])
    if problems:
        return Invalid(context=_edit_form(visit, mapping, form, Problems(found=tuple(problems))))
    try:
        visit.client.put(mapping.role.id, {"properties": properties}, etag=form.get("seen"))
    except ArmError as error:
        if error.status == 412:
            message = "Somebody else has saved this mapping since you opened the form. Open it anew, and type what is still to change."
            return Invalid(context=_edit_form(visit, mapping, form, Problems(found=(Problem(field="", message=message),))))
        return Invalid(context=_edit_form(visit, mapping, form, _wrong(error, properties)), status=_status(error))
    return Redirect(to=f"{mapping_path(mapping.role.id)}?done=saved")


def _properties(form: Form, stored: Mapping[str, Any]) -> tuple[list[Problem], dict[str, Any]]:
    """What the API gets: what was typed, and what is stored of the rest; and what cannot even be sent."""
    problems = []
    numbers = {}
    for field, name, default in (("lease", "leaseSeconds", 300), ("approvals", "approvals", 1), ("longest", "longestSeconds", 28_800)):
        given = form.get(field)
        if given and not (given.isascii() and given.isdigit() and len(given) < 10):
            problems.append(Problem(field=field, message="This is a whole number."))
            continue
        numbers[name] = int(given) if given else default
    statements: Any = []
    try:
        statements = orjson.loads(form.get("statements") or "[]")
    except orjson.JSONDecodeError as error:
        problems.append(Problem(field="statements", message=f"This is no JSON: {error}"))
    properties = {name: value for name, value in stored.items() if name in _KEPT}
    properties |= {
        "description": form.get("description"),
        "groups": form.get("groups").split(),
        "managedPolicyArns": form.get("policies").split(),
        "statements": statements,
        "machineTag": form.get("machine-tag"),
        "requiresMfa": form.has("mfa"),
        "leaseSeconds": numbers.pop("leaseSeconds", 300),
        "activation": {"mode": form.get("activation", "Standing"), "approverGroups": form.get("approvers").split(), **numbers},
    }
    return [*_missing(form, stored), *problems], properties


def _missing(form: Form, stored: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything without which it makes no role; the API would name the first of it alone."""
    if not form.get("groups") and not stored.get("claims"):
        yield Problem(field="groups", message="Name at least one group: a role that nobody can hold is a mistake.")
    if not form.get("policies") and form.get("statements") in ("", "[]") and not form.get("machine-tag"):
        what = "Name a managed policy, statements or a tag of machines: a role that allows nothing is a mistake."
        yield Problem(field="policies", message=what)
    if form.get("activation") == "Request" and not form.get("approvers"):
        yield Problem(field="approvers", message="Name at least one group that decides: nobody could approve a request.")


def _wrong(error: ArmError, properties: Mapping[str, Any]) -> Problems:
    """The API's refusal at the fields. What it says of the mapping as a whole stands at the field that would mend it."""
    if error.status == 401 or error.status >= 500:
        raise error
    if error.code == "InvalidResourceName":
        return Problems(found=(Problem(field="name", message=error.message),))
    if error.code in ("AccessNotConfigured", "ConnectorIsBeingRemoved") or error.status in (403, 404):
        return Problems(found=(Problem(field="connector", message=error.message),))
    return problems_of(error, {**_TARGETS, "properties": _lacking(properties)})


def _lacking(properties: Mapping[str, Any]) -> str:
    if not properties["groups"] and not properties.get("claims"):
        return "groups"
    if not properties["managedPolicyArns"] and not properties["statements"] and not properties.get("machineTag"):
        return "policies"
    activation = properties["activation"]
    return "approvers" if activation["mode"] == "Request" and not activation["approverGroups"] else "statements"


def _status(error: ArmError) -> int:
    return error.status if error.status in (403, 409) else 422


def _stored(mapping: Mapped, etag: str) -> Form:
    """What is stored, as if it had been typed."""
    pairs = {
        "description": mapping.description,
        "groups": "\n".join(mapping.groups),
        "policies": "\n".join(mapping.policies),
        "statements": mapping.statements,
        "machine-tag": mapping.machine_tag,
        **({"mfa": "true"} if mapping.requires_mfa else {}),
        "lease": str(mapping.lease),
        "activation": mapping.activation,
        "approvers": "\n".join(mapping.approvers),
        "approvals": str(mapping.approvals),
        "longest": str(mapping.longest),
        "seen": etag,
    }
    return Form(pairs=tuple(pairs.items()))


def _new_form(visit: Visit, form: Form, problems: Problems) -> MappingForm:
    principals = read_principals(visit)
    choices = tuple(
        (one.id, f"{one.name} (AWS {account})")
        for one, account, has_access in connectors_of(visit, principals)
        if has_access and principals.may_give(one.id)
    )
    empty = _page(form, problems)
    return replace(empty, action=NEW, back=PATH, connectors=(("", "Choose…"), *choices), may_map=bool(choices))


def _edit_form(visit: Visit, mapping: Mapped, form: Form, problems: Problems) -> MappingForm:
    role = mapping.role
    return replace(
        _page(form, problems),
        id=role.id,
        has_claims=bool(mapping.claims),
        name=role.name,
        connector=role.connector.id,
        connectors=((role.connector.id, f"{role.connector.name} (AWS {role.account})"),),
        action=mapping_path(role.id, "edit"),
        back=role.to,
        may_map=read_principals(visit).may_give(role.connector.id),
    )


def _page(form: Form, problems: Problems) -> MappingForm:
    """What was typed; the rest is the caller's to fill in."""
    return MappingForm(
        id="",
        connectors=(),
        connector=form.get("connector"),
        name=form.get("name"),
        description=form.get("description"),
        groups=form.get("groups"),
        policies=form.get("policies"),
        statements=form.get("statements"),
        machine_tag=form.get("machine-tag"),
        has_claims=False,
        requires_mfa=form.has("mfa"),
        lease=form.get("lease"),
        activation=form.get("activation", "Standing"),
        approvers=form.get("approvers"),
        approvals=form.get("approvals", "1"),
        longest=form.get("longest", "28800"),
        seen=form.get("seen"),
        action="",
        back="",
        may_map=False,
        problems=problems,
    )
