"""Webhook: one signed POST for each thing that happens to a request, so that whoever has to decide learns of it where they read.

The body fits incoming webhooks of chats, which show `text`, and programs, which read the rest. A notice is a hint: it carries no right and
no secret, and what it leads to asks who comes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog

from isthmus.access import judging, request_rows
from isthmus.access.judging import Request
from isthmus.access.mappings import RoleMapping
from isthmus.arm.change import JobOrder
from isthmus.arm.errors import ArmError, unavailable
from isthmus.engine import Engine
from isthmus.identity.foreign import Said
from isthmus.identity.foreign import send as send_now
from isthmus.identity.issuer import Issuer
from isthmus.work import Arguments, Job, Queue

_log = structlog.get_logger("isthmus.access")

NOTIFY: Final = "access.notify"
QUEUE: Final = "notices"
QUEUES: Final = (Queue(name=QUEUE, worker_concurrency=4, polling_seconds=1.0),)
SIGNATURE: Final = "Isthmus-Signature"
_SIGNED_SECONDS = 300
_LONGEST = 2_048


class Post(Protocol):
    """One request (`isthmus.identity.foreign.send`); OSError when there is no answer in time."""

    def __call__(self, method: str, url: str, *, content: bytes, headers: Mapping[str, str]) -> Said:
        """Status and body, whatever the status."""
        ...


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Tells the address in `file`, which is read each time: the address of a chat's webhook is a secret. `issuer` signs, `portal` is the
    URL under which people reach it, `mapping` finds a role (ArmError 404 when it is gone)."""

    engine: Engine
    file: Path
    issuer: Issuer
    portal: str
    mapping: Callable[[str], RoleMapping]
    send: Post = send_now

    def job(self) -> Job:
        """Arguments: `request`, `what` happened and `by` whom, and how it stood then (`step`, the number of its decisions; `state`)."""
        return Job(name=NOTIFY, queue=QUEUE, run=self.run, failed=self.failed, attempts=6, interval_seconds=2)

    def order(self, request: Request, what: str, by: str) -> JobOrder:
        """Tell what happened to a request."""
        stood = {"step": len(request.decisions), "state": request.state}
        told = {"request": request.id, "what": what, "by": by, **stood}
        return JobOrder(job=NOTIFY, id=f"{NOTIFY}:{request.id}:{request.mark}", arguments=told)

    def run(self, arguments: Arguments) -> Mapping[str, Any] | None:
        """Send it. ArmError 503 while nobody takes it."""
        with self.engine.store.read() as connection:
            request = request_rows.find(connection, str(arguments["request"]))
        if request is None:
            return None
        request = replace(request, decisions=request.decisions[: int(arguments["step"])], state=str(arguments["state"]))
        try:
            mapping = self.mapping(request.mapping)
        except ArmError:
            return None  # nothing can be decided about a role that is gone
        url = self._address()
        link = f"{self.portal}/portal/access/requests/{request.id}"
        body = json.dumps(_body(request, mapping, str(arguments["what"]), str(arguments["by"]), link)).encode()
        origin = "://".join(urlsplit(url)[:2])
        claims = {"aud": origin, "sub": request.path, "body_sha256": hashlib.sha256(body).hexdigest()}
        signature = self.issuer.mint(claims, _SIGNED_SECONDS, typ="notice+jwt")
        try:
            said = self.send("POST", url, content=body, headers={"Content-Type": "application/json", SIGNATURE: signature})
        except OSError as error:
            raise unavailable(f"'{origin}' took no notice: {error}") from error
        if not 200 <= said.status < 300:
            raise unavailable(f"'{origin}' took no notice: it answered {said.status}.")
        return {"status": said.status}

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """It is told in the log, and the request waits all the same."""
        _log.error("nobody was told of a request", request=arguments["request"], what=arguments["what"], reason=error.message)

    def _address(self) -> str:
        """The URL. ArmError 503 `ServiceUnavailable` when there is none to be read; the text never holds it."""
        try:
            url = self.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise unavailable(f"The file '{self.file}' (ISTHMUS_NOTICE_URL_FILE) cannot be read: {type(error).__name__}.") from error
        parts = urlsplit(url)
        is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if len(url) > _LONGEST or not parts.hostname or not url.isprintable() or (parts.scheme != "https" and not is_near):
            raise unavailable(f"The file '{self.file}' (ISTHMUS_NOTICE_URL_FILE) holds no https URL.")
        return url


def _body(request: Request, mapping: RoleMapping, what: str, by: str, link: str) -> dict[str, Any]:
    """What is sent. Chats read `<`, `>` and `&` as markup, and a reason is written by whoever asks."""
    text = _sentence(request, mapping, what, by)
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, written)
    return {
        "text": f"{text} {link}",
        "what": what,
        "by": by,
        "link": link,
        "request": {
            "id": request.id,
            "role": mapping.label,
            "person": request.person,
            "personName": request.name,
            "reason": request.reason,
            "seconds": request.seconds,
            "state": request.state,
            "breakGlass": request.is_break_glass,
            "approvals": len(request.approvers),
            "needed": judging.needed(request, mapping),
            "approverGroups": sorted(mapping.approver_groups),
            "askedAt": datetime.fromtimestamp(request.asked_at / 1000, UTC).isoformat(),
        },
    }


def _sentence(request: Request, mapping: RoleMapping, what: str, by: str) -> str:
    whose = f"{request.name}'s request for {mapping.label}"
    length = f"{request.seconds // 60} minutes"
    match what:
        case "request" if request.is_break_glass:
            return f"{request.name} asks to BREAK THE GLASS: {mapping.label} for {length}. “{request.reason}” Two owners decide."
        case "request":
            return f"{request.name} asks for {mapping.label} for {length}. “{request.reason}” Approvers decide."
        case "approve" if request.grant and request.is_break_glass:
            return f"THE GLASS IS BROKEN: {request.name} holds {mapping.label} for {length}. {by} approved last. An owner acknowledges it."
        case "approve" if request.grant:
            return f"{by} approved: {request.name} holds {mapping.label} for {length}."
        case "approve":
            return f"{by} approved {whose}: {len(request.approvers)} of {judging.needed(request, mapping)}."
        case "deny":
            return f"{by} denied {whose}."
        case "withdraw":
            return f"{whose} was withdrawn."
        case "acknowledge":
            return f"{by} acknowledged the glass that {request.name} broke ({mapping.label})."
        case _:
            return f"{whose} expired: nobody decided in time."
