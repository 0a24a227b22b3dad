"""Session Manager as far as it shows: who opened a session on which machine, and that it ends. The shell behind it is not modelled: the
stream's address leads nowhere, and a session counts as connected until somebody terminates it or its machine goes away.

Source: API model of Systems Manager and Session Manager's guide; not compared with AWS.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isthmus_lab.ssm.access import Access
from isthmus_lab.ssm.documents import DocumentStore
from isthmus_lab.ssm.errors import SsmError, invalid
from isthmus_lab.ssm.nodes import Nodes
from isthmus_lab.ssm.paging import page, text
from isthmus_lab.world import Instance, World

SHELL = "SSM-SessionManagerRunShell"
PROVIDED = frozenset(
    {
        SHELL,
        "AWS-StartSSHSession",
        "AWS-StartPortForwardingSession",
        "AWS-StartPortForwardingSessionToRemoteHost",
        "AWS-StartInteractiveCommand",
    }
)
"""Session documents that exist everywhere."""

HISTORY_SECONDS = 30 * 86_400
_NOWHERE = "wss://127.0.0.1:9/v1/data-channel"

Request = Mapping[str, Any]
Answer = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class Session:
    """One session; times are epoch seconds, `ended` 0 while it is open. `owner` is the ARN of who opened it."""

    id: str
    account: str
    region: str
    instance: Instance
    document: str
    owner: str
    reason: str
    started: float
    ended: float = 0.0

    @property
    def status(self) -> str:
        """SSM's word for how it stands."""
        return "Terminated" if self.ended else "Connected"

    def row(self) -> Answer:
        """The session as DescribeSessions shows it."""
        shown = {
            "SessionId": self.id,
            "Target": self.instance.instance_id,
            "Status": self.status,
            "StartDate": self.started,
            "DocumentName": self.document,
            "Owner": self.owner,
            "AccessType": "Standard",
        }
        return shown | ({"Reason": self.reason} if self.reason else {}) | ({"EndDate": self.ended} if self.ended else {})


_FILTERS: Mapping[str, Callable[[Session, str], bool]] = {
    "Target": lambda session, value: session.instance.instance_id == value,
    "Owner": lambda session, value: session.owner == value,
    "Status": lambda session, value: session.status == value,
    "SessionId": lambda session, value: session.id == value,
    "AccessType": lambda session, value: value == "Standard",
}


class SessionCalls:
    """The API operations on sessions. Every method takes the request's members and gives the answer's."""

    def __init__(self, world: World, access: Access, documents: DocumentStore, nodes: Nodes) -> None:
        self._world, self._access, self._documents, self._nodes = world, access, documents, nodes
        self._sessions: dict[str, Session] = {}

    def reset(self) -> None:
        """Forget all sessions."""
        self._sessions.clear()

    def start(self, request: Request) -> Answer:
        """StartSession: allowed on the instance, and on the document where the request names one."""
        target, document = text(request, "Target"), text(request, "DocumentName", "")
        reason = text(request, "Reason", "")
        if len(reason) > 256 or ("Reason" in request and not reason):
            raise invalid("Value at 'reason' failed to satisfy constraint: Member must have 1 to 256 characters")
        account, region = self._access.place()
        instance = self._world.instance(account, region, target)
        if document:
            self._access.document("ssm:StartSession", document)
        if instance is not None:
            self._access.instance("ssm:StartSession", instance)
        name = self._access.own_name(document or SHELL)
        if name not in PROVIDED and self._documents.find(account, region, name).type != "Session":
            raise SsmError("InvalidDocument", f"Document type of {name} is not supported: sessions need documents of the type Session.")
        if instance is None or not self._nodes.online(instance):
            raise SsmError("TargetNotConnected", f"{target} is not connected.")
        owner = self._world.caller_arn()
        session = Session(
            id=f"{owner.rpartition('/')[2].rpartition(':')[2]}-0{secrets.token_hex(8)}",
            account=account,
            region=region,
            instance=instance,
            document=name,
            owner=owner,
            reason=reason,
            started=self._world.clock(),
        )
        self._sessions[session.id] = session
        return _stream(session)

    def resume(self, request: Request) -> Answer:
        """ResumeSession of an open session."""
        session = self._find(request, "ssm:ResumeSession")
        if session is None or session.ended:
            raise SsmError("DoesNotExistException", "The session does not exist or has ended.")
        return _stream(session)

    def terminate(self, request: Request) -> Answer:
        """TerminateSession; one that has ended or never was is no error."""
        session = self._find(request, "ssm:TerminateSession")
        if session is not None and not session.ended:
            session.ended = self._world.clock()
        return {"SessionId": text(request, "SessionId")}

    def describe(self, request: Request) -> Answer:
        """DescribeSessions: open ones, or those of the last 30 days that ended; newest first."""
        self._access.anything("ssm:DescribeSessions")
        state = text(request, "State")
        if state not in ("Active", "History"):
            raise invalid(f"Value '{state}' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [Active, History]")
        place, now = self._access.place(), self._world.clock()
        self._forget(now)
        rows = [one for one in self._sessions.values() if (one.account, one.region) == place and bool(one.ended) is (state == "History")]
        for row in request.get("Filters") or []:
            rows = [one for one in rows if _matches(one, str(row["key"]), str(row["value"]))]
        found, more = page(rows[::-1], request, least=1, most=200, default=50)
        return {"Sessions": [one.row() for one in found], **more}

    def connection(self, request: Request) -> Answer:
        """GetConnectionStatus."""
        target = text(request, "Target")
        instance = self._world.instance(*self._access.place(), target)
        if instance is not None:
            self._access.instance("ssm:GetConnectionStatus", instance)
        return {"Target": target, "Status": "connected" if instance is not None and self._nodes.online(instance) else "notconnected"}

    def facts(self, instance_id: str) -> Answer:
        """What a machine's record shows: its open sessions."""
        return {"sessions": [one.id for one in self._sessions.values() if one.instance.instance_id == instance_id and not one.ended]}

    def _find(self, request: Request, action: str) -> Session | None:
        identity = text(request, "SessionId")
        self._access.session(action, identity)
        session = self._sessions.get(identity)
        return session if session is not None and (session.account, session.region) == self._access.place() else None

    def _forget(self, now: float) -> None:
        """End the sessions of machines that are gone; drop what ended long ago."""
        for session in list(self._sessions.values()):
            if not session.ended and not self._nodes.online(session.instance):
                session.ended = now
            elif session.ended and session.ended < now - HISTORY_SECONDS:
                del self._sessions[session.id]


def _stream(session: Session) -> Answer:
    url = f"{_NOWHERE}/{session.id}?role=publish_subscribe"
    return {"SessionId": session.id, "TokenValue": secrets.token_urlsafe(48), "StreamUrl": url}


def _matches(session: Session, key: str, value: str) -> bool:
    if key in ("InvokedAfter", "InvokedBefore"):
        try:
            moment = datetime.fromisoformat(value).timestamp()
        except ValueError as error:
            raise invalid(f"Value '{value}' of filter {key} is no time of ISO 8601") from error
        return session.started > moment if key == "InvokedAfter" else session.started < moment
    if key not in _FILTERS:
        raise SsmError("InvalidFilterKey", f"The filter key {key} is not valid.")
    return _FILTERS[key](session, value)
