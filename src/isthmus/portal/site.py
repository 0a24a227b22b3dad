"""The portal over HTTP: requests become visits, pages answer them, refusals become pages that say what to do."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from functools import cache
from time import perf_counter
from typing import Any
from urllib.parse import quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from isthmus.arm.errors import ArmError
from isthmus.client import Client
from isthmus.portal import render
from isthmus.portal.assets import PREFIX, Assets
from isthmus.portal.consent import ConsentPages
from isthmus.portal.doors import Doors
from isthmus.portal.forms import TOKEN, Form
from isthmus.portal.live import Hub
from isthmus.portal.menu import NOTHING, entries, read_rights
from isthmus.portal.origin import require_host, require_own_page
from isthmus.portal.page import Download, Invalid, Live, Page, Person, Redirect, Rows, Visit
from isthmus.portal.pages import PAGES
from isthmus.portal.principals import read_group_names
from isthmus.portal.session import SESSION_COOKIE, SUBSCRIPTION_COOKIE, Session, SignIn, cookie_of, is_token, mask

LIVE = "/portal/live"
_MOST_BYTES = 256 * 1024
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_log = structlog.get_logger("isthmus.portal")

Call = Callable[[Callable[[], str]], Client]
Observe = Callable[[str, int, float], None]


class Portal:
    """All pages. `call` makes an API client for a source of tokens, `hosts` are the names under which pages are shown.

    `subscription` is the one that is looked at unless a visitor chooses another; `clock` is in epoch seconds.
    """

    def __init__(
        self,
        *,
        sign_in: SignIn,
        call: Call,
        hosts: frozenset[str],
        subscription: str,
        clock: Callable[[], float],
        observe: Observe,
        pages: Sequence[Page] = PAGES,
    ) -> None:
        self._sign_in = sign_in
        self._sessions = sign_in.sessions
        self._call = call
        self._hosts = hosts
        self._subscription = subscription
        self._clock = clock
        self._observe = observe
        self._pages = pages
        self._assets = Assets()
        self._renderer = render.Renderer(self._assets)
        self.hub = Hub()

    def routes(self) -> list[BaseRoute]:
        """Every page, the streams of those that are live, and the files they load."""
        doors = Doors(sign_in=self._sign_in, renderer=self._renderer, frame=self._frame, hosts=self._hosts)
        consents = ConsentPages(
            sign_in=self._sign_in, renderer=self._renderer, frame=self._frame, hosts=self._hosts, to_sign_in=self._to_sign_in
        )
        files = Route(f"{PREFIX}/{{digest}}/{{name:path}}", self._assets.answer, methods=["GET"])
        found: list[BaseRoute] = [files, *doors.routes(), *consents.routes()]
        for page in self._pages:
            methods = ["GET", "POST"] if page.act else ["GET"]
            found.append(Route(page.path, self._endpoint(page), methods=methods))
            if page.live is not None:
                found.append(Route(LIVE + page.path.removeprefix("/portal"), self._stream(page), methods=["GET"]))
        return [*found, Route("/portal/{rest:path}", self._frame(self._nothing), methods=_METHODS)]

    def _endpoint(self, page: Page) -> Callable[[Request], Any]:
        def answer(request: Request, body: bytes, correlation: str) -> Response:
            return self._answer(page, request, body, correlation)

        return self._frame(answer)

    def _frame(self, answer: Callable[[Request, bytes, str], Response]) -> Callable[[Request], Any]:
        """An endpoint around a synchronous answer: bodies of bounded size, one rendering of what goes wrong."""

        async def framed(request: Request) -> Response:
            started, correlation = perf_counter(), str(uuid.uuid4())
            try:
                response = await self._framed(request, answer, correlation)
            except ClientDisconnect:
                response = Response(status_code=499)
            self._observe(request.method, response.status_code, perf_counter() - started)
            response.headers["x-ms-correlation-request-id"] = correlation
            return response

        return framed

    async def _framed(self, request: Request, answer: Callable[[Request, bytes, str], Response], correlation: str) -> Response:
        try:
            require_host(request, self._hosts)
            body = await _body(request)
            return await run_in_threadpool(answer, request, body, correlation)
        except ArmError as error:
            if error.status >= 500:
                _log.error("page_failed", code=error.code, status=error.status, correlation=correlation, path=request.url.path)
            return await run_in_threadpool(self._refusal, request, error, correlation)
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001 - the border of a request
            _log.exception("page_broke", method=request.method, path=request.url.path, correlation=correlation)
            broke = ArmError("InternalServerError", f"Something broke here. The log has it under correlation id {correlation}.", status=500)
            return await run_in_threadpool(self._refusal, request, broke, correlation)

    def _answer(self, page: Page, request: Request, body: bytes, correlation: str) -> Response:
        secret = cookie_of(request, SESSION_COOKIE)
        session = self._sessions.find(secret) if secret else None
        if request.method == "POST":
            require_own_page(request, self._hosts)
            form = Form.read(body, request.headers.get("content-type", ""))
            if session is None or not is_token(form.get(TOKEN), self._sessions.csrf(secret)):
                return self._resend(request, form, session, secret)
        if session is None and not page.is_open:
            return self._to_sign_in(request)
        visit = self._visit(request, session, correlation)
        token = mask(self._sessions.csrf(secret)) if session else ""
        if request.method == "POST":
            assert page.act is not None
            return self._show(page, request, visit, page.act(visit, form), token)
        return self._show(page, request, visit, page.view(visit), token)

    def _show(self, page: Page, request: Request, visit: Visit, found: object, token: str) -> Response:
        match found:
            case Redirect():
                return render.redirect(request, found.to)
            case Download():
                headers = {**render.secured(), "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"}
                if not isinstance(found.content, bytes):
                    return StreamingResponse(found.content, media_type=found.media_type, headers=headers)
                return Response(found.content, media_type=found.media_type, headers=headers)
            case Invalid():
                context, status, total = found.context, found.status, None
            case Rows():
                context, status, total = found.context, 200, found.total
            case _:
                context, status, total = found, 200, None
        if _wants_json(request):
            return render.json(request, context, status=status)
        values = self._values(request, visit, token) | {"nav": page.nav, "page": context}
        return self._renderer.html(request, page.template, values, block=page.block, status=status, total=total)

    def _values(self, request: Request, visit: Visit | None, token: str) -> dict[str, Any]:
        """What every template may use."""
        path = request.url.path
        query = f"?{request.url.query}" if request.url.query else ""
        rights = cache(lambda: read_rights(visit) if visit and visit.person else NOTHING)
        called = cache(lambda: read_group_names(visit) if visit and visit.person else {})
        return {
            "visit": visit,
            "rights": rights,
            "group_name": lambda id: called().get(id, ""),
            "menu": lambda: entries(rights()),
            "token": token,
            "now": int(self._clock() * 1000),
            "url": path + query,
            "path": path,
            "live_url": LIVE + path.removeprefix("/portal") + query,
            "nav": "",
        }

    def _visit(self, request: Request, session: Session | None, correlation: str) -> Visit:
        client = self._call(lambda: self._sessions.token(session) if session else "")
        client.correlation = correlation
        query = dict(request.query_params)
        subscriptions = tuple(_subscriptions(client)) if session else ()
        wanted = query.get("subscription") or request.cookies.get(SUBSCRIPTION_COOKIE, "")
        known = {id for id, _ in subscriptions}
        chosen = next((id for id in (wanted, self._subscription, *sorted(known)) if id in known), self._subscription)
        return Visit(
            client=client,
            person=Person(object_id=session.object_id, name=session.name) if session else None,
            url=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            path={name: str(value) for name, value in request.path_params.items()},
            query=query,
            subscription=chosen,
            subscriptions=subscriptions,
            now=int(self._clock() * 1000),
            correlation=correlation,
        )

    def _stream(self, page: Page) -> Callable[[Request], Any]:
        """The stream of a live page. Those share a reader who look at the same and hold the same roles: what one sees, all of them may."""
        live = page.live
        assert live is not None

        async def stream(request: Request) -> Response:
            correlation = str(uuid.uuid4())
            secret = cookie_of(request, SESSION_COOKIE)

            def come() -> Visit:
                session = self._sessions.find(secret) if secret else None
                if session is None:
                    raise ArmError("SessionEnded", "Your session has ended. Sign in again.", status=401)
                return self._visit(request, session, correlation)

            def come_again() -> Visit:
                visit = come()
                if _audience(visit) != audience:
                    raise ArmError("RightsChanged", "What you may see has changed. Reload the page.", status=403)
                return visit

            def look() -> Live:
                visit = come_again()
                return live(visit, self._renderer.piece(page.template, {"now": int(self._clock() * 1000), "visit": visit, "token": ""}))

            query = request.query_params
            subject = (page.path, *map(str, request.path_params.values()), *(f"{name}={query.get(name, '')}" for name in page.live_key))
            try:
                require_host(request, self._hosts)
                audience = await run_in_threadpool(lambda: _audience(come()))

                async def read() -> Live:
                    return await run_in_threadpool(look)

                async def check() -> None:
                    await run_in_threadpool(come_again)

                events = await self.hub.open((*subject, *audience), read, check, request.headers.get("last-event-id", ""))
            except ArmError as error:
                return await run_in_threadpool(self._refusal, request, error, correlation)
            headers = {**render.secured(), "X-Accel-Buffering": "no"}
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)

        return stream

    def _refusal(self, request: Request, error: ArmError, correlation: str) -> Response:
        """A refusal as a page; for a part of a page, as a notice that leaves everything else as it is."""
        if _wants_json(request):
            return render.json(request, {"error": error.body()}, status=error.status)
        if error.status == 401 and error.code in ("AuthenticationFailed", "SessionEnded") and not _is_part(request):
            return self._to_sign_in(request)
        secret = cookie_of(request, SESSION_COOKIE)
        session, visit = None, None
        if error.status < 500 and secret and request.headers.get("host", "") in self._hosts:
            session = self._sessions.find(secret)
            visit = self._visit(request, session, correlation) if session else None
        token = mask(self._sessions.csrf(secret)) if session else ""
        values = self._values(request, visit, token) | {"error": error, "correlation": correlation}
        response = self._renderer.html(request, "error.html", values, block="notice" if _is_part(request) else "", status=error.status)
        if _is_part(request):
            response.headers.update({"HX-Retarget": "#notice", "HX-Reswap": "innerHTML", "HX-Reselect": "#problem"})
        return response

    def _resend(self, request: Request, form: Form, session: Session | None, secret: str) -> Response:
        """The form came from an earlier session, or from none: nothing is done, and what was typed is kept to be sent again."""
        kept = [(name, value) for name, value in form.pairs if name != TOKEN]
        token = mask(self._sessions.csrf(secret)) if session else ""
        values = self._values(request, None, token) | {"kept": kept, "is_signed_in": session is not None}
        return self._renderer.html(request, "resend.html", values, status=403 if session else 401)

    def _to_sign_in(self, request: Request) -> Response:
        if _wants_json(request):
            ended = ArmError("AuthenticationFailed", "You are not signed in, or your session has ended.", status=401)
            return render.json(request, {"error": ended.body()}, status=401)
        if _is_part(request):
            ended = ArmError("SessionEnded", "Your session has ended.", status=401)
            return self._refusal(request, ended, "")
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return render.redirect(request, f"/portal/sign-in?return={quote(back if request.method == 'GET' else '/portal/', safe='')}")

    def _nothing(self, request: Request, _body: bytes, correlation: str) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise ArmError("MethodNotAllowed", f"{request.method[:32]} is not offered for this page.", status=405)
        error = ArmError("PageNotFound", "There is no page at this address. It may have been moved, or cut when it was copied.", status=404)
        return self._refusal(request, error, correlation)


async def _body(request: Request) -> bytes:
    if request.method != "POST":
        return b""
    size, chunks = 0, []
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MOST_BYTES:
            raise ArmError("RequestEntityTooLarge", f"A form has at most {_MOST_BYTES} bytes.", status=413)
        chunks.append(chunk)
    return b"".join(chunks)


def _audience(visit: Visit) -> tuple[str, ...]:
    """Whom a stream is for: the subscription that is looked at, and every role of the visitor with its scope."""
    (me,) = visit.client.list("/providers/Isthmus.Identity/me")
    held = me["properties"]["assignments"]
    return (visit.subscription, *sorted(f"{one['roleDefinitionId']} {one['scope']}".lower() for one in held))


def _subscriptions(client: Client) -> Sequence[tuple[str, str]]:
    return [(one["subscriptionId"], one["displayName"]) for one in client.list("/subscriptions")]


def _is_part(request: Request) -> bool:
    """Whether htmx asks for a part of a page (it names a target other than the main part)."""
    return request.headers.get("hx-request") == "true" and not request.headers.get("hx-target", "").endswith("#main")


def _wants_json(request: Request) -> bool:
    """JSON where it is asked for and HTML is not."""
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept
