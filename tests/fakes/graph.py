"""Microsoft Graph and a tenant's token endpoint on a loopback port, with throttling and outages. Not validated against Microsoft."""

from __future__ import annotations

import http.server
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.fakes.entra import CLIENT, TENANT, Tenant

SCOPES = frozenset({"User.Read.All", "GroupMember.Read.All", "AuditLog.Read.All"})
Deliver = Callable[[str], tuple[int, str, str]]
"""POST to a URL with nothing in it; status, content type and body."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A federated identity credential: everything is compared exactly."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"
    jwks: Callable[[], Any]


class Refuse(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


@dataclass
class GraphServer:
    """The server. `faults` are answered before anything else, one each; `is_down` answers 503 for ever; `calls` counts.

    `validates` is the outcome of handshakes where nobody delivers them.
    """

    tenant: Tenant = field(default_factory=Tenant)
    credential: Credential | None = None
    granted: frozenset[str] = SCOPES
    deliver: Deliver | None = None
    validates: bool | None = None
    token_seconds: int = 3599
    page_size: int = 2
    is_down: bool = False
    faults: list[Refuse] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    links_lead_to: str = ""

    def __post_init__(self) -> None:
        self.tokens: set[str] = set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, status: int, code: str = "TooManyRequests", *, times: int = 1, after: int | str | None = None) -> None:
        """Answer the next requests so."""
        headers = {} if after is None else {"Retry-After": str(after)}
        self.faults += [Refuse(status, code, headers) for _ in range(times)]

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path
        if path == f"/{TENANT}/oauth2/v2.0/token":
            self.calls.append("token")
            return self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
        self.calls.append(f"{method} {path}")
        if self.is_down:
            raise Refuse(503, "ServiceUnavailable")
        if self.faults:
            raise self.faults.pop(0)
        if headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise Refuse(401, "InvalidAuthenticationToken")
        with self.tenant.lock:
            return self._route(method, path, query, json.loads(body) if body else {})

    def _token(self, form: dict[str, str]) -> tuple[int, Any]:
        if self.is_down:
            return 503, {}
        trusted = self.credential
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert (form["grant_type"], form["scope"]) == ("client_credentials", f"{self.url}/.default")
        assert "client_secret" not in form
        if form["client_id"] != CLIENT:
            return 400, {"error": "unauthorized_client", "error_description": "AADSTS700016: Application not found."}
        try:
            keys = KeySet.import_key_set(trusted.jwks() if trusted else {"keys": []})
            claims = jwt.decode(form["client_assertion"], keys, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return 401, {"error": "invalid_client", "error_description": "AADSTS7000272: signature"}
        assert trusted is not None
        said = (claims.get("iss"), claims.get("sub"), claims.get("aud"))
        if said != (trusted.issuer, trusted.subject, trusted.audience) or claims["exp"] <= time.time():
            return 401, {"error": "invalid_client", "error_description": "AADSTS70021: No matching federated identity record found."}
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return 200, {"token_type": "Bearer", "access_token": token, "expires_in": self.token_seconds}

    def _named(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Groups of a filter, which names at most 15."""
        asked = re.fullmatch(r"id in \((.+)\)", query["$filter"])
        wanted = re.findall(r"'([0-9a-f-]{36})'", asked[1]) if asked else []
        if not 0 < len(wanted) <= 15 or query["$select"] != "id,displayName":
            raise Refuse(400, "Request_UnsupportedQuery")
        return [{"id": id, "displayName": self.tenant.names.get(id)} for id in wanted if id in self.tenant.groups]

    def _needs(self, *scopes: str) -> None:
        if not self.granted.issuperset(scopes):
            raise Refuse(403, "Authorization_RequestDenied")

    def _route(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        if path in ("/v1.0/users/delta", "/v1.0/groups/delta"):
            self._needs("User.Read.All" if "users" in path else "GroupMember.Read.All")
            return 200, self._delta(path.split("/")[2], query)
        if match := re.fullmatch(r"/v1\.0/users/([^/]+)", path):
            self._needs("User.Read.All")
            if match[1] not in self.tenant.users:
                raise Refuse(404, "Request_ResourceNotFound")
            return 200, {"id": match[1], "accountEnabled": self.tenant.users[match[1]]}
        if match := re.fullmatch(r"/v1\.0/users/([^/]+)/checkMemberGroups", path):
            self._needs("GroupMember.Read.All")
            if len(body["groupIds"]) > 20:
                raise Refuse(400, "Directory_ResultSizeLimitExceeded")
            if match[1] not in self.tenant.users:
                raise Refuse(404, "Request_ResourceNotFound")
            return 200, {"value": self.tenant.held(match[1], body["groupIds"])}
        if path == "/v1.0/groups":
            self._needs("GroupMember.Read.All")
            return 200, {"value": self._named(query)}
        if match := re.fullmatch(r"/v1\.0/groups/([^/]+)/transitiveMembers/microsoft\.graph\.group", path):
            self._needs("GroupMember.Read.All")
            if match[1] not in self.tenant.groups:
                raise Refuse(404, "Request_ResourceNotFound")
            found = sorted(self.tenant.below(match[1]) & self.tenant.groups.keys())
            return 200, self._page([{"id": id} for id in found], path, query)
        if path == "/beta/auditLogs/signIns":
            self._needs("AuditLog.Read.All")
            return 200, self._page(self._signed_in(query.get("$filter", "")), path, query)
        return self._subscriptions(method, path, body)

    def _delta(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        chosen = set(re.findall(r"id eq '([^']+)'", query.get("$filter", "") or query.get("of", "")))
        assert len(chosen) <= 50
        since = query.get("$deltatoken", "")
        if since == "latest":
            rows: list[dict[str, Any]] = []
        elif since:
            if int(since) < self.tenant.forgotten:
                raise Refuse(410, "syncStateNotFound")
            rows = [told for one, id, told in self.tenant.log[int(since) :] if one == kind and (kind == "users" or id in chosen)]
        else:
            rows = self._everything(kind, chosen)
        page = self._page(rows, f"/v1.0/{kind}/delta", query)
        if "@odata.nextLink" not in page:
            more = {"of": " or ".join(f"id eq '{id}'" for id in sorted(chosen))} if chosen else {}
            link = urlencode({"$deltatoken": str(len(self.tenant.log)), **more})
            page["@odata.deltaLink"] = f"{self.links_lead_to or self.url}/v1.0/{kind}/delta?{link}"
        return page

    def _everything(self, kind: str, chosen: set[str]) -> list[dict[str, Any]]:
        if kind == "users":
            return [{"id": id, "accountEnabled": is_enabled} for id, is_enabled in self.tenant.users.items()]
        return [
            {"id": id, "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": member} for member in sorted(members)]}
            for id, members in self.tenant.groups.items()
            if id in chosen
        ]

    def _page(self, rows: list[dict[str, Any]], path: str, query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": rows[start : start + self.page_size]}
        if start + self.page_size < len(rows):
            link = urlencode({**query, "$skiptoken": str(start + self.page_size)})
            page["@odata.nextLink"] = f"{self.links_lead_to or self.url}{path}?{link}"
        return page

    def _signed_in(self, chosen: str) -> list[dict[str, Any]]:
        match = re.match(r"createdDateTime ge (\S+) and createdDateTime lt (\S+)", chosen)
        assert match is not None
        kind = "nonInteractiveUser" if "nonInteractiveUser" in chosen else "interactiveUser"
        found = [one for one in self.tenant.sign_ins if match[1] <= one["createdDateTime"] < match[2] and kind in one["signInEventTypes"]]
        return sorted(found, key=lambda one: str(one["createdDateTime"]))

    def _subscriptions(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if (method, path) == ("POST", "/v1.0/subscriptions"):
            self._needs("User.Read.All" if "users" in body["resource"] else "GroupMember.Read.All")
            assert body["clientState"]
            assert len(body["clientState"]) <= 128
            if not self._is_validated(body["notificationUrl"]):
                raise Refuse(400, "ValidationError")
            return 201, self.tenant.subscribe(body)
        match = re.fullmatch(r"/v1\.0/subscriptions/([^/]+)", path)
        if match is None or match[1] not in self.tenant.subscriptions:
            raise Refuse(404, "ResourceNotFound")
        if method == "DELETE":
            del self.tenant.subscriptions[match[1]]
            return 204, None
        assert method == "PATCH"
        self.tenant.subscriptions[match[1]] |= body
        held = self.tenant.subscriptions[match[1]]
        return 200, {name: value for name, value in held.items() if name != "clientState"}

    def _is_validated(self, url: str) -> bool:
        """Graph calls the URL before it keeps the subscription, and wants its token back as plain text within ten seconds."""
        if self.validates is not None or self.deliver is None:
            return bool(self.validates)
        token = f"Validation: {secrets.token_urlsafe(8)} +&"
        status, kind, told = self.deliver(f"{url}?{urlencode({'validationToken': token})}")
        return (status, kind.partition(";")[0], told) == (200, "text/plain", token)


def _handler(server: GraphServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet for an answer: with two, each waits 40 ms for an acknowledgement.
        wbufsize = -1
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers: dict[str, str] = {}
            try:
                status, told = server.answer(self.command, self.path, self.headers, body)
            except Refuse as refused:
                status, told, headers = refused.status, {"error": {"code": refused.code, "message": "…"}}, refused.headers
            content = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *arguments: object) -> None: ...

    return Answers
