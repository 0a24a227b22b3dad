"""The whole visit: everything well, nothing there, nothing changed, nothing secret said."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.doctor import Result, examine
from isthmus.doctor.findings import failed, hidden
from tests.doctor.conftest import ISSUER, World


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with mode, size and time of change."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {str(path): (seen.st_mode, seen.st_size, seen.st_mtime_ns) for path, seen in found.items() if path.is_file()}


def test_a_sound_installation_has_no_complaint_and_is_left_as_it_was(world: World) -> None:
    patient = world.patient()
    before = state(world.data)
    found = list(examine(patient))
    assert [one for one in found if one.result in (Result.FAILED, Result.WARNING)] == []
    assert len({one.check for one in found}) == 27
    assert all(one.remedy for one in found if one.result in (Result.FAILED, Result.WARNING))
    assert state(world.data) == before


def test_before_the_first_start_nothing_fails(world: World, tmp_path: Path) -> None:
    world.data, world.is_serving = tmp_path / "new", False
    found = {one.check: one for one in examine(world.patient())}
    assert [one.check for one in found.values() if one.result is Result.FAILED] == []
    assert found["data folder"].result is Result.WARNING
    assert "isthmus serve" in found["data folder"].remedy + found["server"].remedy
    assert not world.data.exists()


def test_a_server_elsewhere_is_asked_and_the_folder_here_is_not(world: World) -> None:
    world.is_serving, world.url = False, "https://isthmus.acme.com"
    found = {one.check: one for one in examine(world.patient())}
    mine = ("data folder", "key files", "database", "directory certificates", "port", "issuer keys")
    assert {found[check].result for check in mine} == {Result.NOT_CHECKED}
    assert found["server"].result is Result.FAILED
    assert "https://isthmus.acme.com/readyz" in [url for url, _ in world.asked]


def test_offline_nobody_outside_is_asked(world: World) -> None:
    world.is_offline = True
    found = {one.check: one for one in examine(world.patient())}
    assert [url for url, _ in world.asked] == ["https://localhost:8443/readyz"]
    assert {found[check].result for check in ("issuer URL", "issuer document", "issuer keys", "AWS STS", "clock against AWS")} == {
        Result.NOT_CHECKED
    }


def test_no_secret_is_said(world: World) -> None:
    world.settings = {"database_url": "postgresql://me:hunter2@127.0.0.1:9/isthmus?password=hunter3"}
    world.environ = {"AWS_ENDPOINT_URL": "https://key:hunter4@aws.acme.com", "HTTPS_PROXY": "http://me:hunter5@proxy:3128"}
    (world.data / "keys" / "operator.pem").write_text("-----BEGIN PRIVATE KEY-----\nhunter6\n")
    said = "".join(f"{one.detail} {one.remedy}" for one in examine(world.patient()))
    assert "hunter" not in said
    assert "PRIVATE KEY" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:p@ss:w@host/db", "postgresql://***@host/db"),
        ("http://user@host", "http://***@host"),
        (f"{ISSUER} and me@acme.com", f"{ISSUER} and me@acme.com"),
    ],
)
def test_what_stands_before_a_host_is_hidden(text: str, shown: str) -> None:
    assert hidden(text) == shown
    assert failed("x", text, text).detail == shown
