"""A CA is named for Isthmus alone, or remembered by its path; a bundle that others need as well is told from one that is ours."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from isthmus.client import find_server, is_for_isthmus_alone, named_ca, remember_ca
from isthmus.keys import LocalAuthority
from tests.support.clock import Clock

URL = "https://arm.test"


@pytest.fixture
def ours(tmp_path: Path, clock: Clock) -> Path:
    """The CA file of a server."""
    file = tmp_path / "ours.pem"
    file.write_bytes(LocalAuthority(tmp_path / "keys", clock=clock).ca_pem)
    return file


def test_a_remembered_ca_is_found_without_a_variable_and_one_that_is_named_wins(tmp_path: Path, ours: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert find_server(tmp_path / "none", URL, environ).ca == ()
    remember_ca(environ, URL, ours)
    assert find_server(tmp_path / "none", URL, environ).ca == (ours,)
    assert find_server(tmp_path / "none", "https://other.test", environ).ca == (), "it is one server's"
    other = tmp_path / "other.pem"
    assert find_server(tmp_path / "none", URL, {**environ, "REQUESTS_CA_BUNDLE": str(other)}).ca == (other, ours)
    assert find_server(tmp_path / "none", URL, {**environ, "REQUESTS_CA_BUNDLE": "x", "ISTHMUS_CA_FILE": str(other)}).ca == (other,)
    (kept,) = (tmp_path / "cache" / "isthmus").glob("*.ca")
    kept.chmod(0o666)
    assert find_server(tmp_path / "none", URL, environ).ca == (), "others could have written it"
    kept.chmod(0o600)
    ours.unlink()
    assert find_server(tmp_path / "none", URL, environ).ca == ()


def test_isthmus_own_variable_comes_first(tmp_path: Path) -> None:
    assert named_ca({}) is None
    assert named_ca({"REQUESTS_CA_BUNDLE": "/a", "ISTHMUS_CA_FILE": "/b"}) == Path("/b")
    assert named_ca({"REQUESTS_CA_BUNDLE": "/a"}) == Path("/a")


def test_a_bundle_that_others_need_is_not_isthmus_own(tmp_path: Path, ours: Path) -> None:
    assert is_for_isthmus_alone(ours, None)
    both = tmp_path / "both.pem"
    both.write_bytes(ours.read_bytes() + Path(certifi.where()).read_bytes())
    assert not is_for_isthmus_alone(both, None)
    assert not is_for_isthmus_alone(both, ours)
    assert is_for_isthmus_alone(both, both), "named for Isthmus"
    assert not is_for_isthmus_alone(tmp_path / "none.pem", ours)
    assert not is_for_isthmus_alone(Path(), None)
