"""Resources as rows and back: the document, and beside it the columns that are looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from scim2_models import Context, InvalidValueException, PayloadTooLargeException, Resource
from sqlalchemy import Row, Table

from isthmus.access.directory import GROUP, USER, object_id_of
from isthmus.access.scim.filters import SEVERAL, exactly, folded
from isthmus.store.tables import directory_groups, directory_users

MAX_DOCUMENT = 64 * 1024
_MAX_NAME = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A resource type: its table, which attribute its unique column holds, and the columns that only it has."""

    name: str
    table: Table
    unique: str
    column: str
    more: Callable[[Mapping[str, Any]], dict[str, Any]]

    def columns(self, id: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """What is stored of a document. Raises InvalidValueException for names that are missing or too long, 413 for too much of it."""
        external = document.get("externalId")
        if external is not None:
            _check_name("externalId", external)
        text = orjson.dumps(document).decode()
        if len(text) > MAX_DOCUMENT:
            raise PayloadTooLargeException(detail=f"A resource has at most {MAX_DOCUMENT} bytes.")
        return {
            "object_id": object_id_of(external, id),
            "external_id": None if external is None else exactly(external),
            self.column: folded(_check_name(self.unique, document.get(self.unique))),
            "document": text,
            **self.more(document),
        }


def _of_user(document: Mapping[str, Any]) -> dict[str, Any]:
    mails = [mail["value"] for mail in document.get("emails", ()) if mail.get("value") and str(mail.get("type", "")).lower() == "work"]
    keys = {folded(_check_name("emails", mail)) for mail in mails}
    # Who says nothing of it is active: no directory provisions people to keep them out.
    return {"work_mail": None if not keys else SEVERAL if len(keys) > 1 else keys.pop(), "active": document.get("active") is not False}


KINDS: Mapping[str, Kind] = {
    USER: Kind(name=USER, table=directory_users, unique="userName", column="user_name", more=_of_user),
    GROUP: Kind(name=GROUP, table=directory_groups, unique="displayName", column="display_name", more=lambda _document: {}),
}


def document_of(resource: Resource[Any]) -> dict[str, Any]:
    """A resource as JSON without what rows hold beside it."""
    document = resource.model_dump(scim_ctx=Context.DEFAULT)
    return {name: value for name, value in document.items() if name not in ("id", "meta", "members")}


def resource_of(kind: Kind, model: type[Resource[Any]], row: Row[Any], members: Sequence[Mapping[str, str]] = ()) -> Resource[Any]:
    """A row as the library knows it. `meta.location` is the library's."""
    meta = {
        "resourceType": kind.name,
        "created": _moment(row.created_at),
        "lastModified": _moment(row.changed_at),
        "version": version_of(row.version),
    }
    document = {**orjson.loads(row.document), "id": row.id, "meta": meta}
    return model.model_validate({**document, "members": list(members)} if members else document)


def version_of(number: int) -> str:
    """The ETag of a version."""
    return f'W/"{number}"'


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _check_name(attribute: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_NAME:
        raise InvalidValueException(detail=f"{attribute} has 1 to {_MAX_NAME} characters.")
    return value
