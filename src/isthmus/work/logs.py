"""The engine's own log, brought into ours."""

from __future__ import annotations

import logging

import structlog


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger("isthmus.work").log(record.levelno, record.getMessage(), engine=record.name, exc_info=record.exc_info)


def route_engine_log() -> None:
    """Send warnings and worse of the engine through structlog, drop the rest (it advertises at INFO). To be called before DBOS is built."""
    logger = logging.getLogger("dbos")
    # The engine adds a console handler only where there is none.
    if not any(isinstance(handler, _ToStructlog) for handler in logger.handlers):
        logger.handlers = [_ToStructlog()]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
