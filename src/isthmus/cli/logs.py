"""The log: one JSON object per line, from every library, with nothing in it that opens a door."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from isthmus.arm.errors import ArmError

_SECRET_NAMES = re.compile(r"authorization|token|secret|password|passwd|assertion|cookie|credential|private_?key|signature", re.IGNORECASE)
_SECRET_TEXTS = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # tokens (JWS compact form)
    r"|(?<=[Bb]earer )\S+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?<=/sign-in#)\w+"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",  # user and password in a URL
    re.DOTALL,
)
_GONE = "[redacted]"
_HARMLESS = frozenset({"tokens", "token_type"})
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values under telling names, and tokens, keys and passwords inside any text, become `[redacted]`."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name) and name not in _HARMLESS and isinstance(value, (str, bytes, dict, list)):
        return _GONE
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(_GONE, value)
    if isinstance(value, dict):
        return {key: _clean(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean("", inner) for inner in value]
    return value if isinstance(value, (int, float, bool, type(None))) else _SECRET_TEXTS.sub(_GONE, str(value))


def configure(level: str, file: Path | None) -> None:
    """Send everything as JSON lines to standard error or to a file (mode 0600, appended). Raises ArmError for an unknown level."""
    wanted = level.upper()
    if wanted not in _LEVELS:
        raise ArmError("InvalidSetting", f"ISTHMUS_LOG_LEVEL is '{level}'; it must be one of {', '.join(_LEVELS)}.", target="log_level")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    stream = sys.stderr if file is None else file.open("a", buffering=1)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, wanted)),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, structlog.processors.JSONRenderer(_dumps)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(wanted)
    # What they say at INFO is every migration, or each request with its URL: too much, and not theirs to tell.
    for chatty in ("httpx", "httpcore", "uvicorn", "aiohttp", "alembic", "dbos"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
