"""The engine's own log, brought into ours."""

from __future__ import annotations

import logging

import structlog

from isthmus.arm.errors import ArmError


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        if isinstance(cause, ArmError):
            # The engine repeats how a job ended; the attempt that failed was logged where it failed.
            return
        structlog.get_logger("isthmus.work").log(record.levelno, record.getMessage(), engine=record.name, exc_info=record.exc_info)


def route_engine_log() -> None:
    """Send warnings and worse of the engine through structlog, drop the rest (it advertises at INFO). To be called before DBOS is built."""
    logger = logging.getLogger("dbos")
    # The engine adds a console handler only where there is none.
    if not any(isinstance(handler, _ToStructlog) for handler in logger.handlers):
        logger.handlers = [_ToStructlog()]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
