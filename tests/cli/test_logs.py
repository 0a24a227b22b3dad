"""The log: JSON lines from everybody, without anything that opens a door."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from isthmus.arm.errors import ArmError
from isthmus.cli.logs import configure, redact

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvcGVyYXRvciJ9.c2lnbmF0dXJl"


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Path]:
    """A log file in use; afterwards logging is as it was."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure("info", tmp_path / "log")
    yield tmp_path / "log"
    structlog.configure(**before)
    root.handlers, root.level = handlers, level


def test_every_logger_writes_json_without_secrets(lines: Path) -> None:
    structlog.get_logger("isthmus.test").info("asked", authorization=f"Bearer {TOKEN}", url="https://h/sign-in#abc123", n=1)
    structlog.get_logger().debug("too much")
    logging.getLogger("library").warning("failed with %s", f"Bearer {TOKEN}")
    logging.getLogger("httpx").info("GET https://h/?x")
    try:
        raise ValueError(f"postgresql://me:hunter2@host/db {TOKEN}")
    except ValueError:
        structlog.get_logger().exception("broke")
    text = lines.read_text()
    told = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in told] == ["asked", "failed with Bearer [redacted]", "broke"]
    assert (told[0]["authorization"], told[0]["n"], told[1]["logger"]) == ("[redacted]", 1, "library")
    assert "ValueError" in told[2]["exception"]
    assert all(secret not in text for secret in (TOKEN, "abc123", "hunter2"))
    assert lines.stat().st_mode & 0o777 == 0o600


def test_redaction_reaches_into_values() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"
    event = redact(None, "info", {"a": {"client_secret": "x", "b": [TOKEN, pem]}, "tokens": 3, "e": OSError(TOKEN), "none": None})
    assert event["a"] == {"client_secret": "[redacted]", "b": ["[redacted]", "[redacted]"]}
    assert (event["tokens"], event["e"], event["none"]) == (3, "[redacted]", None)


def test_an_unknown_level_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArmError, match="ISTHMUS_LOG_LEVEL is 'loud'"):
        configure("loud", tmp_path / "log")
