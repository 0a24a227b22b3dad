"""The store of SSM documents, with versions and hashes. Shared with CloudFormation; thread-safe."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from isthmus_lab.ssm import content as contents
from isthmus_lab.ssm.errors import SsmError, invalid

_NAME = re.compile(r"[a-zA-Z0-9_\-.]{3,128}")
_RESERVED = ("aws", "amazon", "amzn")
VERSIONS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One version of a document. `hash` is the lower-case hex Sha256 of `text`; `created` epoch seconds; `owner` an account or Amazon."""

    name: str
    version: str
    text: str
    hash: str
    type: str
    created: float
    owner: str
    content: Mapping[str, Any] = field(repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class _Shelf:
    versions: list[Document]
    default: str = "1"


class DocumentStore:
    """Documents of all accounts and regions, and the ones that AWS provides everywhere."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shelves: dict[tuple[str, str, str], _Shelf] = {}

    def put(
        self, account: str, region: str, name: str, content: dict[str, Any] | str, document_type: str, tags: Mapping[str, str]
    ) -> Document:
        """Create the document or a new default version of it; equal content keeps the version. ValueError on what AWS would refuse."""
        text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
        try:
            with self._lock:
                shelf = self._shelves.get((account, region, name))
                if shelf is None:
                    return self._create(account, region, name, text, document_type, tags)
                newest = shelf.versions[-1]
                if newest.text == text:
                    shelf.versions[-1] = replace(newest, tags=dict(tags))
                    return shelf.versions[-1]
                document = self._update(shelf, text)
                shelf.default = document.version
                return document
        except SsmError as error:
            raise ValueError(f"{error.code}: {error.message}") from error

    def create(self, account: str, region: str, name: str, text: str, document_type: str, tags: Mapping[str, str]) -> Document:
        """Create version 1; SsmError when the name is taken or the content is refused."""
        with self._lock:
            if (account, region, name) in self._shelves:
                raise SsmError("DocumentAlreadyExists", f"Document with name {name} already exists.")
            return self._create(account, region, name, text, document_type, tags)

    def update(self, account: str, region: str, name: str, text: str, version: str) -> Document:
        """Add a version to the one named (`$LATEST` or a number), which must be the newest; SsmError otherwise."""
        with self._lock:
            shelf = self._shelf(account, region, name)
            if version not in ("$LATEST", shelf.versions[-1].version):
                raise SsmError("InvalidDocumentVersion", "Only the latest version of a document can be updated.")
            return self._update(shelf, text)

    def set_default(self, account: str, region: str, name: str, version: str) -> None:
        """Choose the version that a name without a version means; SsmError when there is none."""
        with self._lock:
            shelf = self._shelf(account, region, name)
            shelf.default = self._version(shelf, version).version

    def get(self, account: str, region: str, name: str) -> Document | None:
        """The newest version, None for an unknown name."""
        with self._lock:
            shelf = self._shelves.get((account, region, name))
            return shelf.versions[-1] if shelf else BUILTIN.get(name)

    def find(self, account: str, region: str, name: str, version: str = "$DEFAULT") -> Document:
        """A version by number, `$DEFAULT` or `$LATEST`; SsmError InvalidDocument or InvalidDocumentVersion."""
        with self._lock:
            return self._version(self._shelf(account, region, name), version)

    def versions(self, account: str, region: str, name: str) -> tuple[list[Document], str]:
        """All versions, oldest first, and the default one's number; SsmError for an unknown name."""
        with self._lock:
            shelf = self._shelf(account, region, name)
            return list(shelf.versions), shelf.default

    def every(self, account: str, region: str) -> list[Document]:
        """Default versions of the account's own and of AWS' documents, by name."""
        with self._lock:
            own = [self._version(shelf, "$DEFAULT") for key, shelf in self._shelves.items() if key[:2] == (account, region)]
        return sorted([*own, *BUILTIN.values()], key=lambda document: document.name)

    def delete(self, account: str, region: str, name: str) -> None:
        """Delete all versions; an unknown name is fine."""
        with self._lock:
            self._shelves.pop((account, region, name), None)

    def reset(self) -> None:
        """Forget the documents of all accounts."""
        with self._lock:
            self._shelves.clear()

    def _create(self, account: str, region: str, name: str, text: str, document_type: str, tags: Mapping[str, str]) -> Document:
        if not _NAME.fullmatch(name) or name.lower().startswith(_RESERVED):
            raise invalid(f"Value '{name}' at 'name' failed to satisfy constraint: 3 to 128 of [a-zA-Z0-9_-.], no prefix of AWS' own")
        document = Document(
            name=name,
            version="1",
            text=text,
            hash=_sha256(text),
            type=document_type,
            created=self._clock(),
            owner=account,
            content=_checked(text, document_type),
            tags=dict(tags),
        )
        self._shelves[account, region, name] = _Shelf(versions=[document])
        return document

    def _update(self, shelf: _Shelf, text: str) -> Document:
        newest = shelf.versions[-1]
        if newest.text == text:
            raise SsmError("DuplicateDocumentContent", "The content of the latest version is the same.")
        if len(shelf.versions) >= VERSIONS:
            raise SsmError("DocumentVersionLimitExceeded", f"The limit of {VERSIONS} versions is reached.")
        content = _checked(text, newest.type)
        number = str(int(newest.version) + 1)
        shelf.versions.append(replace(newest, version=number, text=text, hash=_sha256(text), content=content, created=self._clock()))
        return shelf.versions[-1]

    def _shelf(self, account: str, region: str, name: str) -> _Shelf:
        shelf = self._shelves.get((account, region, name))
        if shelf is None and name in BUILTIN:
            shelf = _Shelf(versions=[BUILTIN[name]])
        if shelf is None:
            raise SsmError("InvalidDocument", f"Document with name {name} does not exist.")
        return shelf

    @staticmethod
    def _version(shelf: _Shelf, version: str) -> Document:
        wanted = {"$DEFAULT": shelf.default, "$LATEST": shelf.versions[-1].version}.get(version, version)
        for document in shelf.versions:
            if document.version == wanted:
                return document
        raise SsmError("InvalidDocumentVersion", f"The document has no version {version}.")


def _checked(text: str, document_type: str) -> dict[str, Any]:
    content = contents.parse(text)
    if document_type == "Command":
        contents.check_command(content)
    return content


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _builtin(name: str, description: str, action: str) -> Document:
    content = {
        "schemaVersion": "2.2",
        "description": description,
        "parameters": {
            "commands": {"type": "StringList", "description": "Lines of the script."},
            "workingDirectory": {"type": "String", "default": ""},
            "executionTimeout": {"type": "String", "default": "3600", "allowedPattern": "^[0-9]{1,6}$"},
        },
        "mainSteps": [
            {
                "action": action,
                "name": action,
                "inputs": {
                    "runCommand": ["{{ commands }}"],
                    "workingDirectory": "{{ workingDirectory }}",
                    "timeoutSeconds": "{{ executionTimeout }}",
                },
            }
        ],
    }
    text = json.dumps(content)
    return Document(name=name, version="1", text=text, hash=_sha256(text), type="Command", created=0.0, owner="Amazon", content=content)


BUILTIN = {
    "AWS-RunShellScript": _builtin("AWS-RunShellScript", "Runs a shell script.", contents.SHELL),
    "AWS-RunPowerShellScript": _builtin("AWS-RunPowerShellScript", "Runs a PowerShell script.", contents.POWERSHELL),
}
