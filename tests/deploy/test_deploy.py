"""What can be said of the files in `deploy` without a container engine: what they name exists, and they are as closed as they claim."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from isthmus.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"ISTHMUS_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[str, str]]]:
    """The instructions of the Containerfile, by stage."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[tuple[str, str]]] = []
    for word, rest in lines:
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


@pytest.fixture(scope="module")
def unit() -> dict[str, list[tuple[str, str]]]:
    """The unit's sections; names may stand more than once."""
    found: dict[str, list[tuple[str, str]]] = {}
    section = ""
    for line in (DEPLOY / "isthmus.service").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(section, []).append((name, value))
    return found


def test_what_the_image_copies_exists_and_is_locked(stages: list[list[tuple[str, str]]]) -> None:
    for stage in stages:
        for word, rest in stage:
            if word == "COPY" and "--from" not in rest:
                assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest
            if word == "FROM":
                assert re.search(r"python:3\.11\.\d+-slim", rest), "pinned by version"
            if word == "RUN" and "uv sync" in rest:
                assert "--frozen" in rest
    pinned = re.search(r"UV_VERSION = (\S+)", (ROOT / "Makefile").read_text())
    assert pinned is not None
    assert f"uv=={pinned[1]}" in (DEPLOY / "Containerfile").read_text()


def test_the_image_runs_as_nobody_in_particular_and_without_a_shell(stages: list[list[tuple[str, str]]]) -> None:
    last = stages[-1]
    words = [word for word, _ in last]
    assert dict(last)["USER"] == "10001:10001"
    assert "RUN" not in words[words.index("USER") :]
    for word in ("ENTRYPOINT", "CMD"):
        assert all(isinstance(part, str) for part in json.loads(dict(last)[word]))
    health = dict(last)["HEALTHCHECK"]
    assert json.loads(health[health.index("[") :])[1:] == ["-m", "isthmus.cli.probe"]
    assert dict(last)["VOLUME"] == "/var/lib/isthmus"
    named = set(re.findall(r"ISTHMUS_\w+", dict(last)["ENV"]))
    assert named <= SETTINGS


def test_systemd_accepts_the_unit(tmp_path: Path, unit: dict[str, list[tuple[str, str]]]) -> None:
    """By systemd's own judgement where it is installed."""
    assert list(unit) == ["Unit", "Service", "Install"]
    assert dict(unit["Service"])["ExecStart"].split()[1:] == ["serve", "--exact-port"]
    if shutil.which("systemd-analyze") is None:
        return
    text = (DEPLOY / "isthmus.service").read_text().replace("/opt/isthmus/bin/isthmus", sys.executable)
    (tmp_path / "isthmus.service").write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "isthmus.service")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in ran.stderr.splitlines() if "isthmus.service" in line]
    assert (ran.returncode, ours) == (0, []), ran.stderr


def test_the_unit_is_closed(unit: dict[str, list[tuple[str, str]]]) -> None:
    service = dict(unit["Service"])
    expected = {
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "StateDirectory": "isthmus",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
        "Restart": "on-failure",
    }
    assert {name: service.get(name) for name in expected} == expected
    assert service["Environment"] == "ISTHMUS_DATA=/var/lib/isthmus"
    assert configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True).read(DEPLOY / "isthmus.service")


def test_the_example_shares_keys_and_database(stages: list[list[tuple[str, str]]]) -> None:
    found: Any = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    server, worker = found["services"]["server"], found["services"]["worker"]
    assert server["environment"] == worker["environment"]
    assert {name for name in server["environment"] if name.startswith("ISTHMUS_")} <= SETTINGS
    assert "@" in server["environment"]["ISTHMUS_DATABASE_URL"]
    assert ":" not in server["environment"]["ISTHMUS_DATABASE_URL"].partition("//")[2].partition("@")[0], "no password in the URL"
    assert "keys:/var/lib/isthmus-keys" in server["volumes"]
    assert "keys:/var/lib/isthmus-keys:ro" in worker["volumes"]
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in (server, worker))
    assert set(found["volumes"]) == {"database", "keys", "server"}
