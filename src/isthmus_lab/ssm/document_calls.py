"""The API operations on documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_lab.ssm import content as contents
from isthmus_lab.ssm.access import Access
from isthmus_lab.ssm.documents import Document, DocumentStore
from isthmus_lab.ssm.errors import SsmError
from isthmus_lab.ssm.paging import page, text

Request = Mapping[str, Any]
Answer = dict[str, Any]


class DocumentCalls:
    """CreateDocument and its siblings. Every method takes the request's members and gives the answer's."""

    def __init__(self, access: Access, documents: DocumentStore) -> None:
        self._access, self._documents = access, documents

    def create(self, request: Request) -> Answer:
        """CreateDocument."""
        name = text(request, "Name")
        self._access.document("ssm:CreateDocument", name)
        _json_only(request)
        tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in request.get("Tags") or []}
        kind = text(request, "DocumentType", "Command")
        document = self._documents.create(*self._access.place(), name, text(request, "Content"), kind, tags)
        return {"DocumentDescription": self._describe(document)}

    def update(self, request: Request) -> Answer:
        """UpdateDocument; the default version stays."""
        name = text(request, "Name")
        self._access.document("ssm:UpdateDocument", name)
        _json_only(request)
        version = text(request, "DocumentVersion", "$LATEST")
        document = self._documents.update(*self._access.place(), name, text(request, "Content"), version)
        return {"DocumentDescription": self._describe(document)}

    def set_default(self, request: Request) -> Answer:
        """UpdateDocumentDefaultVersion."""
        name, version = text(request, "Name"), text(request, "DocumentVersion")
        self._access.document("ssm:UpdateDocumentDefaultVersion", name)
        self._documents.set_default(*self._access.place(), name, version)
        return {"Description": {"Name": name, "DefaultVersion": version}}

    def get(self, request: Request) -> Answer:
        """GetDocument."""
        document = self._find(request, "ssm:GetDocument")
        return {
            "Name": document.name,
            "DocumentVersion": document.version,
            "Status": "Active",
            "Content": document.text,
            "DocumentType": document.type,
            "DocumentFormat": "JSON",
            "CreatedDate": document.created,
        }

    def describe(self, request: Request) -> Answer:
        """DescribeDocument."""
        return {"Document": self._describe(self._find(request, "ssm:DescribeDocument"))}

    def list_all(self, request: Request) -> Answer:
        """ListDocuments, with the filters Name, Owner, DocumentType and PlatformTypes."""
        self._access.anything("ssm:ListDocuments")
        account, region = self._access.place()
        rows = [document for document in self._documents.every(account, region) if _matches(document, request, account)]
        found, more = page(rows, request, least=1, most=50, default=50)
        return {"DocumentIdentifiers": [_identifier(document) for document in found], **more}

    def list_versions(self, request: Request) -> Answer:
        """ListDocumentVersions, newest first."""
        name = text(request, "Name")
        self._access.document("ssm:ListDocumentVersions", name)
        versions, default = self._documents.versions(*self._access.place(), name)
        found, more = page(versions[::-1], request, least=1, most=50, default=50)
        rows = [
            {
                "Name": document.name,
                "DocumentVersion": document.version,
                "CreatedDate": document.created,
                "IsDefaultVersion": document.version == default,
                "DocumentFormat": "JSON",
                "Status": "Active",
            }
            for document in found
        ]
        return {"DocumentVersions": rows, **more}

    def delete(self, request: Request) -> Answer:
        """DeleteDocument, all versions."""
        name = text(request, "Name")
        self._access.document("ssm:DeleteDocument", name)
        if self._documents.find(*self._access.place(), name).owner == "Amazon":
            raise SsmError("InvalidDocumentOperation", "Documents of AWS cannot be deleted.")
        self._documents.delete(*self._access.place(), name)
        return {}

    def _find(self, request: Request, action: str) -> Document:
        name = text(request, "Name")
        self._access.document(action, name)
        _json_only(request)
        return self._documents.find(*self._access.place(), self._access.own_name(name), text(request, "DocumentVersion", "$DEFAULT"))

    def _describe(self, document: Document) -> Answer:
        versions, default = self._documents.versions(*self._access.place(), document.name)
        declared: Mapping[str, Any] = document.content.get("parameters") or {}
        return {
            **_identifier(document),
            "Hash": document.hash,
            "HashType": "Sha256",
            "Status": "Active",
            "Description": str(document.content.get("description", "")),
            "LatestVersion": versions[-1].version,
            "DefaultVersion": default,
            "Parameters": [_parameter(name, row) for name, row in declared.items()],
        }


def _parameter(name: str, row: Mapping[str, Any]) -> Answer:
    value: Answer = {"Name": name, "Type": row["type"], "Description": str(row.get("description", ""))}
    if "default" in row:
        value["DefaultValue"] = str(row["default"])
    return value


def _identifier(document: Document) -> Answer:
    return {
        "Name": document.name,
        "CreatedDate": document.created,
        "Owner": document.owner,
        "PlatformTypes": contents.platforms(document.content),
        "DocumentVersion": document.version,
        "DocumentType": document.type,
        "SchemaVersion": str(document.content["schemaVersion"]),
        "DocumentFormat": "JSON",
        "Tags": [{"Key": key, "Value": value} for key, value in document.tags.items()],
    }


def _matches(document: Document, request: Request, account: str) -> bool:
    filters = {str(row["Key"]): [str(value) for value in row["Values"]] for row in request.get("Filters") or []}
    filters |= {str(row["key"]): [str(row["value"])] for row in request.get("DocumentFilterList") or []}
    owners = {"Self": account, "ThisAccount": account, "Amazon": "Amazon"}
    for key, values in filters.items():
        if key == "Name":
            matches = any(document.name.startswith(value) for value in values)
        elif key == "Owner":
            matches = any(value == "All" or owners.get(value, value) == document.owner for value in values)
        elif key == "DocumentType":
            matches = document.type in values
        elif key == "PlatformTypes":
            matches = bool(set(values) & set(contents.platforms(document.content)))
        elif key.startswith("tag:"):
            matches = document.tags.get(key[4:]) in values
        else:
            raise SsmError("InvalidFilterKey", f"The filter key {key} is not valid.")
        if not matches:
            return False
    return True


def _json_only(request: Request) -> None:
    if request.get("DocumentFormat", "JSON") != "JSON":
        raise SsmError("InvalidDocumentContent", "The lab keeps documents in JSON only.")
