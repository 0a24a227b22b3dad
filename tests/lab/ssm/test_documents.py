"""Documents: versions, hashes, what AWS refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from isthmus_lab.ssm.service import SsmService
from tests.lab.machines.fake_world import ACCOUNT, REGION, FakeWorld
from tests.lab.ssm.client import CONTENT, TEXT, Client, on_ssm, refused


def test_documents_have_versions_and_hashes(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        made = (await ssm.call("CreateDocument", Name="Words", Content=TEXT, DocumentType="Command"))["DocumentDescription"]
        assert made["Hash"] == hashlib.sha256(TEXT.encode()).hexdigest()
        assert (made["HashType"], made["DocumentVersion"], made["PlatformTypes"]) == ("Sha256", "1", ["Windows", "Linux", "MacOS"])
        assert (await ssm.call("GetDocument", Name="Words"))["Content"] == TEXT
        assert await refused(ssm.call("CreateDocument", Name="Words", Content=TEXT)) == "DocumentAlreadyExists"
        assert (
            await refused(ssm.call("UpdateDocument", Name="Words", Content=TEXT, DocumentVersion="$LATEST")) == "DuplicateDocumentContent"
        )
        newer = json.dumps(CONTENT | {"description": "newer"})
        await ssm.call("UpdateDocument", Name="Words", Content=newer, DocumentVersion="$LATEST")
        assert (await ssm.call("DescribeDocument", Name="Words"))["Document"]["DocumentVersion"] == "1"
        await ssm.call("UpdateDocumentDefaultVersion", Name="Words", DocumentVersion="2")
        described = (await ssm.call("DescribeDocument", Name="Words"))["Document"]
        assert (described["DocumentVersion"], described["LatestVersion"], described["Description"]) == ("2", "2", "newer")
        assert await refused(ssm.call("GetDocument", Name="Words", DocumentVersion="9")) == "InvalidDocumentVersion"
        versions = (await ssm.call("ListDocumentVersions", Name="Words"))["DocumentVersions"]
        assert [(row["DocumentVersion"], row["IsDefaultVersion"]) for row in versions] == [("2", True), ("1", False)]
        own = await ssm.call("ListDocuments", Filters=[{"Key": "Owner", "Values": ["Self"]}])
        assert [row["Name"] for row in own["DocumentIdentifiers"]] == ["Words"]
        everything = await ssm.call("ListDocuments", MaxResults=2)
        rest = await ssm.call("ListDocuments", MaxResults=2, NextToken=everything["NextToken"])
        assert len(everything["DocumentIdentifiers"] + rest["DocumentIdentifiers"]) == 3
        assert await refused(ssm.call("ListDocuments", NextToken="garbage")) == "InvalidNextToken"
        ssm.world.current = (ACCOUNT, "us-east-1")
        assert await refused(ssm.call("GetDocument", Name="Words")) == "InvalidDocument"
        ssm.world.current = (ACCOUNT, REGION)
        await ssm.call("DeleteDocument", Name="Words")
        assert await refused(ssm.call("DescribeDocument", Name="Words")) == "InvalidDocument"
        assert await refused(ssm.call("DeleteDocument", Name="AWS-RunShellScript")) == "InvalidDocumentOperation"

    on_ssm(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "InvalidDocumentContent"),
        ("[]", "InvalidDocumentContent"),
        ("{}", "InvalidDocumentSchemaVersion"),
        ('{"schemaVersion": "9.9"}', "InvalidDocumentSchemaVersion"),
        ('{"schemaVersion": "2.2"}', "InvalidDocumentContent"),
        (TEXT.replace("{{ word }}", "{{ unknown }}"), "InvalidDocumentContent"),
        (TEXT.replace("^[a-z]+$", "[a-z"), "InvalidDocumentContent"),
        (TEXT.replace('"windows"', '"linux"'), "InvalidDocumentContent"),
        (TEXT + " " * 70_000, "MaxDocumentSizeExceeded"),
    ],
)
def test_bad_documents_are_refused(tmp_path: Path, content: str, code: str) -> None:
    async def scenario() -> None:
        ssm = Client(world := FakeWorld(tmp_path), SsmService(world))
        assert await refused(ssm.call("CreateDocument", Name="Bad", Content=content)) == code
        assert await refused(ssm.call("GetDocument", Name="Bad")) == "InvalidDocument"

    asyncio.run(scenario())


def test_cloudformation_stores_objects_and_keeps_versions_of_equal_content(tmp_path: Path) -> None:
    store = SsmService(FakeWorld(tmp_path)).documents
    first = store.put(ACCOUNT, REGION, "Words", CONTENT, "Command", {})
    assert first.hash == hashlib.sha256(json.dumps(CONTENT, separators=(",", ":")).encode()).hexdigest()
    assert store.put(ACCOUNT, REGION, "Words", CONTENT, "Command", {"a": "b"}).version == "1"
    assert store.put(ACCOUNT, REGION, "Words", CONTENT | {"description": "new"}, "Command", {}).version == "2"
    assert store.find(ACCOUNT, REGION, "Words").version == "2"
    with pytest.raises(ValueError, match="InvalidDocumentSchemaVersion"):
        store.put(ACCOUNT, REGION, "Other", {}, "Command", {})
