"""What a workflow does: attempts of one step with pauses between them, each attempt recorded as data.

An attempt never raises into the engine: its outcome, good or bad, is a small JSON object. So a workflow that is recovered in the middle
goes on with the attempts it has left, waits only what is left of a pause, and sees exactly the errors that the first process saw.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import structlog
from dbos import DBOS

from isthmus.arm.errors import ArmError

_log = structlog.get_logger("isthmus.work")

_LONGEST_PAUSE = 60.0
_LARGEST_RESULT = 16_384
_MAY_PASS = frozenset({408, 429})


class Interrupted(BaseException):
    """Leaves the workflow to a later process. Not an Exception, because the engine records those as the workflow's end."""


Around = Callable[[str, Mapping[str, Any]], AbstractContextManager[None]]
"""What is done around every attempt of a job, given its name and arguments; an error of the attempt passes through it."""


def nothing(_job: str, _arguments: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Nothing is done around attempts."""
    return nullcontext()


class Activity:
    """Which steps run here, and whether the process is about to stop. `around` is entered for every attempt of a job."""

    def __init__(self, around: Around = nothing) -> None:
        self.around = around
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self.running = 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a step's own code. Raises Interrupted instead of starting once the process stops."""
        with self._lock:
            if self.stopping.is_set():
                raise Interrupted
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def pause(self, seconds: float) -> None:
        """Wait; raises Interrupted as soon as the process stops."""
        if self.stopping.wait(max(0.0, seconds)):
            raise Interrupted

    def leave_unless(self, is_final: bool) -> None:
        """Raises Interrupted when the process stops: what may have failed for that reason is left to the next one, and does not count."""
        if self.stopping.is_set() and not is_final:
            raise Interrupted


def is_final(error: ArmError) -> bool:
    """Whether trying again cannot help: a 4xx other than 408 (timeout) and 429 (throttled)."""
    return 400 <= error.status < 500 and error.status not in _MAY_PASS


def repeat(
    label: str,
    act: Callable[[], Mapping[str, Any] | None],
    *,
    attempts: int,
    interval_seconds: float,
    backoff: float,
    clock: Callable[[], float],
    activity: Activity,
) -> dict[str, Any]:
    """The outcome of the last attempt: `{"result": …}` or `{"error": ArmError, …}`. To be called from workflow code."""
    outcome: dict[str, Any] = {}
    pause = interval_seconds
    for number in range(1, attempts + 1):
        name = label if number == 1 else f"{label} again {number}"
        outcome = DBOS.run_step({"name": name}, _attempt, name, act, outcome, min(pause, _LONGEST_PAUSE), clock, activity)
        if "error" not in outcome or outcome["final"]:
            break
        if number > 1:
            pause *= backoff
    return outcome


def _attempt(
    name: str,
    act: Callable[[], Mapping[str, Any] | None],
    previous: Mapping[str, Any],
    pause: float,
    clock: Callable[[], float],
    activity: Activity,
) -> dict[str, Any]:
    if previous:
        asked = previous["error"].retry_after or 0.0
        wait = max(pause, min(asked, _LONGEST_PAUSE))
        activity.pause(min(wait, previous["at"] + wait - clock()))
    with activity.step():
        try:
            result = act()
            text = json.dumps(result, allow_nan=False)
            if len(text) > _LARGEST_RESULT:
                raise ValueError(
                    f"a job's result is {len(text)} characters long, more than {_LARGEST_RESULT}: store it and answer its name"
                )
            return {"result": json.loads(text)}
        except ArmError as error:
            _log.warning("job attempt failed", workflow=DBOS.workflow_id, step=name, code=error.code, message=error.message)
            activity.leave_unless(is_final(error))
            return {"error": error, "final": is_final(error), "at": clock()}
        except Exception as error:  # noqa: BLE001 - the border of a job: whatever its code raises must not end the worker
            _log.exception("job attempt failed", workflow=DBOS.workflow_id, step=name, error=type(error).__name__)
            activity.leave_unless(False)
            wrapped = ArmError("InternalError", f"{type(error).__name__} in '{name}'; the log of the server has the details.", status=500)
            return {"error": wrapped, "final": False, "at": clock()}
