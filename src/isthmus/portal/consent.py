"""Where people decide whether a command line may act as them: the page behind its request, and the page for the code that it shows.

Both need a session and the token of its forms. An answer leads to the loopback of the browser's own computer or stays here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from isthmus.arm.errors import ArmError
from isthmus.portal import render
from isthmus.portal.doors import Answer, Frame
from isthmus.portal.forms import TOKEN, Form, Problem, Problems
from isthmus.portal.origin import require_own_page
from isthmus.portal.session import SESSION_COOKIE, Session, SignIn, cookie_of, is_token, mask

CONSENT, DEVICE = "/portal/consent", "/portal/device"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentPage:
    """A command line on the browser's computer asks: who would let it in, from which address this was begun, where the answer goes.

    `fields` are the request, to be sent again with the decision.
    """

    person: str
    object_id: str
    address: str
    back_to: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DevicePage:
    """A program elsewhere asks: `step` is `code` (type it in), `decide` (compare and decide), `allowed` or `denied`.

    `address` is from where it was begun and `since` when.
    """

    person: str
    object_id: str
    step: str
    code: str
    address: str = ""
    since: str = ""
    problems: Problems = field(default_factory=Problems)


@dataclass(frozen=True, kw_only=True)
class ConsentPages:
    """The pages. `to_sign_in` leads to the door and back here."""

    sign_in: SignIn
    renderer: render.Renderer
    frame: Frame
    hosts: frozenset[str]
    to_sign_in: Callable[[Request], Response]

    def routes(self) -> list[BaseRoute]:
        """The addresses."""
        rows: tuple[tuple[str, Answer, str], ...] = (
            (CONSENT, self._ask, "GET"),
            (CONSENT, self._decide, "POST"),
            (DEVICE, self._ask_code, "GET"),
            (DEVICE, self._decide_device, "POST"),
        )
        return [Route(path, self.frame(answer), methods=[method]) for path, answer, method in rows]

    def _ask(self, request: Request, _body: bytes, _correlation: str) -> Response:
        asked = self.sign_in.consents.read(_once(request))
        session = self._session(request)
        if session is None:
            return self.to_sign_in(request)
        page = ConsentPage(
            person=session.name,
            object_id=session.object_id,
            address=_address(request),
            back_to=_origin(asked.redirect_uri),
            fields=tuple(parse_qsl(asked.query)),
        )
        return self._show(request, "consent.html", page, forms=_origin(asked.redirect_uri))

    def _decide(self, request: Request, body: bytes, correlation: str) -> Response:
        form = self._form(request, body, correlation)
        to = self.sign_in.consents.decide(
            cookie_of(request, SESSION_COOKIE),
            dict(form.pairs),
            is_allowed=form.get("decision") == "allow",
            address=_address(request),
            correlation=correlation,
        )
        return Response(status_code=303, headers={**render.secured(), "Location": to, "Referrer-Policy": "no-referrer"})

    def _ask_code(self, request: Request, _body: bytes, _correlation: str) -> Response:
        session = self._session(request)
        if session is None:
            return self.to_sign_in(request)
        return self._show_device(request, session, "code", request.query_params.get("code", "")[:16])

    def _decide_device(self, request: Request, body: bytes, correlation: str) -> Response:
        form = self._form(request, body, correlation)
        secret, code, decision = cookie_of(request, SESSION_COOKIE), form.get("code")[:16], form.get("decision")
        session = self._session(request)
        if session is None:
            return self.to_sign_in(request)
        try:
            if decision in ("allow", "deny"):
                is_allowed = decision == "allow"
                self.sign_in.consents.decide_device(secret, code, is_allowed=is_allowed, correlation=correlation)
                return self._show_device(request, session, "allowed" if is_allowed else "denied", code)
            found = self.sign_in.consents.find_device(secret, code, correlation=correlation)
        except ArmError as error:
            if error.status not in (404, 429):
                raise
            return self._show_device(request, session, "code", code, problem=error)
        since = f"{datetime.fromtimestamp(found.created_at / 1000, UTC):%H:%M:%S} UTC"
        return self._show_device(request, session, "decide", found.user_code, address=found.address, since=since)

    def _form(self, request: Request, body: bytes, correlation: str) -> Form:
        """The form of a page of this session; ArmError 401 `SessionEnded`, 403 `FormNotYours`. Nothing is kept to be sent again."""
        session = self._session(request)
        try:
            require_own_page(request, self.hosts)
            form = Form.read(body, request.headers.get("content-type", ""))
            if session is None:
                raise ArmError("SessionEnded", "Your session has ended. Sign in again.", status=401)
            if not is_token(form.get(TOKEN), self.sign_in.sessions.csrf(cookie_of(request, SESSION_COOKIE))):
                message = "This form does not come from a page of your session. Nothing was allowed. Begin the sign-in again."
                raise ArmError("FormNotYours", message, status=403)
        except ArmError as error:
            self.sign_in.consents.refuse(session, error, request.url.path, correlation)
            raise
        return form

    def _session(self, request: Request) -> Session | None:
        secret = cookie_of(request, SESSION_COOKIE)
        found: Session | None = self.sign_in.sessions.find(secret) if secret else None
        return found

    def _show_device(
        self,
        request: Request,
        session: Session,
        step: str,
        code: str,
        *,
        address: str = "",
        since: str = "",
        problem: ArmError | None = None,
    ) -> Response:
        page = DevicePage(
            person=session.name,
            object_id=session.object_id,
            step=step,
            code=code,
            address=address,
            since=since,
            problems=Problems(found=(Problem(field="code", message=problem.message),) if problem else ()),
        )
        return self._show(request, "device.html", page, status=problem.status if problem else 200)

    def _show(self, request: Request, template: str, page: object, *, status: int = 200, forms: str = "") -> Response:
        token = mask(self.sign_in.sessions.csrf(cookie_of(request, SESSION_COOKIE)))
        values = {"visit": None, "token": token, "now": 0, "url": request.url.path, "path": request.url.path, "live_url": "", "nav": ""}
        return self.renderer.html(request, template, {**values, "page": page}, status=status, forms=forms)


def _once(request: Request) -> Mapping[str, str]:
    """The query; what is given twice is not there at all, so that it is refused."""
    pairs = request.query_params.multi_items()
    return {name: value for name, value in pairs if sum(other == name for other, _ in pairs) == 1}


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
