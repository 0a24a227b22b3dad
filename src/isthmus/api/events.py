"""Where a transmitter pushes security event tokens (RFC 8935): 202 and nothing for what was taken in, 400 and a code for what was not."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.access.security_events.receiving import INVALID_REQUEST, NotAccepted, Receiver
from isthmus.api.wire import Incoming, Reply
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import Refusals

PATH = "/ssf/events"
_TYPE = "application/secevent+jwt"


@dataclass(frozen=True, kw_only=True)
class Events:
    """The endpoint; without a `receiver` no transmitter is trusted."""

    receiver: Receiver | None
    refusals: Refusals

    def answer(self, incoming: Incoming) -> Reply:
        """Answer one push; refusals are counted in the audit log. ArmError 404 without a transmitter, 503 while its keys cannot be had."""
        if self.receiver is None:
            raise ArmError("NotFound", "This server takes no security events.", status=404)
        try:
            if incoming.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
                raise NotAccepted(INVALID_REQUEST, f"The body is a security event token of type {_TYPE}.")
            self.receiver.receive(incoming.body.decode("ascii", errors="replace").strip(), correlation=incoming.correlation)
        except NotAccepted as error:
            stranger = Actor(id="anonymous", kind="Application", correlation=incoming.correlation)
            self.refusals.refuse(stranger, "security-event", PATH, ArmError(error.err, str(error)))
            return Reply(status=400, body={"err": error.err, "description": str(error)}, headers={"Content-Language": "en"})
        return Reply(status=202)
