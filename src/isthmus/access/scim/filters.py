"""Filters as SQL, where an index answers them: what directories ask in each cycle reads the rows it is about and no others.

What has no column narrows nothing and is compared by the library afterwards.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, ValuePath
from sqlalchemy import Column, ColumnElement, and_, false, select, true

from isthmus.access.directory import GROUP, USER
from isthmus.access.scim.vocabulary import CORE
from isthmus.store.tables import directory_groups, directory_members, directory_users

SEVERAL = "*"
"""In place of the work mail of a user who has several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrowed:
    """A condition that holds for everything a filter matches; `is_exact` when it holds for nothing else."""

    where: ColumnElement[bool]
    is_exact: bool


EVERYTHING = Narrowed(where=true(), is_exact=True)
_UNKNOWN = Narrowed(where=true(), is_exact=False)


def exactly(text: str) -> str:
    """A text as attributes with `caseExact` are compared."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """A text as all others are compared."""
    return unicodedata.normalize("NFC", exactly(text).lower())


_EXACT: Mapping[str, Mapping[str, Column[str]]] = {
    USER: {"id": directory_users.c.id, "externalid": directory_users.c.external_id},
    GROUP: {"id": directory_groups.c.id, "externalid": directory_groups.c.external_id},
}
_FOLDED: Mapping[str, Mapping[str, Column[str]]] = {
    USER: {"username": directory_users.c.user_name},
    GROUP: {"displayname": directory_groups.c.display_name},
}


def narrow(kind: str, node: FilterNode) -> Narrowed:
    """A filter over users or groups."""
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        parts = [narrow(kind, term) for term in node.terms]
        return Narrowed(where=and_(true(), *(part.where for part in parts)), is_exact=all(part.is_exact for part in parts))
    if isinstance(node, ValuePath) and kind == USER:
        return _work_mail(node)
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq:
        return _UNKNOWN
    return _equal(kind, _name(kind, node.attr_path), node.value)


def _equal(kind: str, name: str, value: object) -> Narrowed:
    if name == "active" and kind == USER and isinstance(value, bool):
        return _exact(directory_users.c.active.is_(value))
    if not isinstance(value, str):
        return _UNKNOWN
    if "\0" in value:
        return _exact(false())
    if name in ("members", "members.value") and kind == GROUP:
        holding = select(directory_members.c.group_id).where(directory_members.c.member_id == value)
        return _exact(directory_groups.c.id.in_(holding))
    if name in _EXACT[kind]:
        return _exact(_EXACT[kind][name] == exactly(value))
    if name in _FOLDED[kind]:
        return _exact(_FOLDED[kind][name] == folded(value))
    return _UNKNOWN


def _work_mail(node: ValuePath) -> Narrowed:
    """`emails[type eq "work"].value eq "…"`, which the library reads as `emails[type eq "work" and value eq "…"]`."""
    terms = node.val_filter.terms if isinstance(node.val_filter, LogicalExpr) and node.val_filter.op == LogicalOperator.and_ else ()
    wanted = {term.attr_path.attr.lower(): term.value for term in terms if isinstance(term, Comparison) and term.op == CompareOperator.eq}
    kind, value = wanted.get("type"), wanted.get("value")
    is_mail = _name(USER, node.attr_path) == "emails" and isinstance(kind, str) and kind.lower() == "work" and len(wanted) == len(terms)
    if not is_mail or not isinstance(value, str) or "\0" in value:
        return _UNKNOWN
    return Narrowed(where=directory_users.c.work_mail.in_([folded(value), SEVERAL]), is_exact=False)


def _exact(where: ColumnElement[bool]) -> Narrowed:
    return Narrowed(where=where, is_exact=True)


def _name(kind: str, path: AttrPath) -> str:
    """The lower-cased name of an attribute of the core schema; empty for those of extensions."""
    if path.uri is not None and path.uri.lower() != f"{CORE}:{kind}".lower():
        return ""
    return f"{path.attr}.{path.sub_attr}".lower() if path.sub_attr else path.attr.lower()
