"""`isthmus doctor` as a command: beside a running server, without one, and what its exit code says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Cli

pytestmark = pytest.mark.e2e
CALM = {**dict.fromkeys((name for name in os.environ if name.startswith("AWS_") or name == "REQUESTS_CA_BUNDLE"), "")}


def test_beside_a_running_server_nothing_fails(cli: Cli) -> None:
    ran = cli("doctor", "--offline", "--output", "json", env=CALM)
    found = {one["check"]: one["result"] for one in ran.json()}
    assert (ran.code, [check for check, result in found.items() if result == "failed"]) == (0, [])
    well = (
        "data folder",
        "key files",
        "signing keys",
        "database",
        "database writes",
        "port",
        "server",
        "version",
        "clock against the server",
    )
    assert {found[check] for check in well} == {"ok"}
    assert found["AWS STS"] == "notChecked"
    assert "0 failed" in ran.err


def test_without_a_server_it_looks_all_the_same(cli: Cli, tmp_path: Path) -> None:
    ran = cli("doctor", "--offline", env=CALM, data=tmp_path / "new")
    assert ran.code == 0, ran.out
    assert ran.out.split()[:3] == ["CHECK", "RESULT", "DETAIL"]
    assert "not checked" in ran.out
    assert "→ Start the server once: isthmus serve" in ran.out
    assert not (tmp_path / "new").exists()


def test_a_failure_is_an_exit_code_with_a_remedy(cli: Cli) -> None:
    ran = cli("doctor", "--offline", "-o", "yaml", env={**CALM, "ISTHMUS_ISSUER_URL": "https://issuer.acme.com:8443"})
    failures = [one for one in yaml.safe_load(ran.out) if one["result"] == "failed"]
    assert (ran.code, [one["check"] for one in failures]) == (1, ["issuer URL"])
    assert "ISTHMUS_ISSUER_URL" in failures[0]["remedy"]


def test_a_wrong_setting_is_named(cli: Cli) -> None:
    ran = cli("doctor", "--offline", env={**CALM, "ISTHMUS_PORT": "many"})
    assert (ran.code, "ISTHMUS_PORT" in ran.err) == (1, True)
