"""Certificates of directories in a checkup."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from isthmus.clouds.aws.metadata import distilled
from isthmus.doctor import Result, directories
from isthmus.solutions.certificates import standing
from tests.doctor.conftest import NOW, World
from tests.doctor.test_here import Look
from tests.support.metadata import certificate, metadata

ID = (
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.HybridConnectivity/publicCloudConnectors/prod"
    "/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
)


def store(file: Path, days: float) -> None:
    """A solution whose directory's certificate ends in some days."""
    settings = {"federation": "saml", "samlMetadata": distilled(metadata(certificate(days, now=NOW)))}
    document = {"properties": {"solutionSettings": settings, "federation": standing(settings, None, int(NOW * 1000))}}
    row = {"key": ID.lower(), "id": ID, "unique_key": "solution:g:Isthmus.Access", "document": json.dumps(document)}
    with closing(sqlite3.connect(file)) as connection:
        needed = [one for one in connection.execute("pragma table_info(resources)") if one[3] and one[4] is None and one[1] not in row]
        row |= {one[1]: 0 if "INT" in one[2].upper() else "" for one in needed}
        connection.execute(f"insert into resources ({', '.join(row)}) values ({', '.join('?' * len(row))})", tuple(row.values()))
        connection.commit()


def test_without_saml_there_is_nothing_to_expire(look: Look) -> None:
    [found] = look(directories.examine)["directory certificates"]
    assert (found.result, found.detail) == (Result.OK, "no account by SAML")


@pytest.mark.parametrize(("days", "result"), [(100, Result.OK), (20, Result.WARNING), (6, Result.FAILED), (-1, Result.FAILED)])
def test_certificates_that_end_are_told_with_what_to_do(world: World, look: Look, days: float, result: Result) -> None:
    store(world.data / "isthmus.db", days)
    [found] = look(directories.examine)["directory certificates"]
    assert found.result is result
    if result is not Result.OK:
        assert found.detail.startswith("prod: The certificate of CN=idp expire")
        assert "add-certificate" in found.remedy
