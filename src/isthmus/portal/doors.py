"""Signing in and out: the page with the link's code, the way to the OpenID provider and back, the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from isthmus.arm.addresses import local_path
from isthmus.arm.errors import ArmError
from isthmus.client import link_parts
from isthmus.portal import render
from isthmus.portal.forms import TOKEN, Form, Problem, Problems
from isthmus.portal.origin import require_own_page
from isthmus.portal.session import (
    SESSION_COOKIE,
    SIGN_IN_COOKIE,
    SUBSCRIPTION_COOKIE,
    Provider,
    SignIn,
    cookie_of,
    drop_cookie,
    is_token,
    set_cookie,
)

Answer = Callable[[Request, bytes, str], Response]
Frame = Callable[[Answer], Callable[[Request], Any]]
HOME = "/portal/"
_PENDING_SECONDS = 600
_SUBSCRIPTION_SECONDS = 30 * 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInPage:
    """The page of signing in: where to go afterwards, the provider's name (empty: none), and what went wrong."""

    back: str
    provider: str
    provider_url: str
    problems: Problems


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Everything that needs no session, and its end."""

    sign_in: SignIn
    renderer: render.Renderer
    frame: Frame
    hosts: frozenset[str]

    def routes(self) -> list[BaseRoute]:
        """The addresses. `/sign-in` stands in links (its fragment survives the redirect), `/sign-in/callback` at the provider."""
        rows: tuple[tuple[str, Answer, str], ...] = (
            ("/", self._home, "GET"),
            ("/portal", self._home, "GET"),
            ("/sign-in", self._to_page, "GET"),
            ("/sign-in/callback", self._return, "GET"),
            ("/portal/sign-in", self._page, "GET"),
            ("/portal/sign-in", self._with_code, "POST"),
            ("/portal/sign-in/provider", self._to_provider, "GET"),
            ("/portal/sign-out", self._sign_out, "POST"),
            ("/portal/subscription", self._choose, "POST"),
        )
        return [Route(path, self.frame(answer), methods=[method]) for path, answer, method in rows]

    def _home(self, request: Request, _body: bytes, _correlation: str) -> Response:
        return render.redirect(request, HOME)

    def _to_page(self, request: Request, _body: bytes, _correlation: str) -> Response:
        return render.redirect(request, "/portal/sign-in")

    def _page(self, request: Request, _body: bytes, _correlation: str) -> Response:
        return self._show(request, _back(request.query_params.get("return", "")))

    def _with_code(self, request: Request, body: bytes, correlation: str) -> Response:
        """A code, or the whole link that it stands in. A session that was there before ends: the new one has a secret of its own."""
        require_own_page(request, self.hosts)
        form = Form.read(body, request.headers.get("content-type", ""))
        back, given = _back(form.get("return")), form.get("code")
        if not given:
            return self._show(request, back, problem="Paste the sign-in link, or the code behind its # sign.", field="code")
        try:
            secret = self.sign_in.link.open(link_parts(given)[1] if "://" in given else given.lstrip("#"), correlation=correlation)
        except ArmError as error:
            if error.status >= 500:
                raise
            return self._show(request, back, problem=error.message, field="code")
        return self._enter(request, secret, back)

    def _to_provider(self, request: Request, _body: bytes, _correlation: str) -> Response:
        begun = self._provider().begin(_back(request.query_params.get("return", "")))
        response = Response(status_code=303, headers={**render.secured(), "Location": begun.url})
        set_cookie(response, SIGN_IN_COOKIE, begun.cookie, seconds=_PENDING_SECONDS)
        return response

    def _return(self, request: Request, _body: bytes, correlation: str) -> Response:
        provider, query = self._provider(), request.query_params.multi_items()
        try:
            if len(dict(query)) != len(query):
                raise ArmError("SignInMismatch", "The answer names a parameter twice. Begin again.", status=401)
            finished = provider.finish(cookie_of(request, SIGN_IN_COOKIE), dict(query), correlation=correlation)
        except ArmError as error:
            if error.status >= 500:
                raise
            response = self._show(request, HOME, problem=error.message)
        else:
            secret = self.sign_in.sessions.open(finished.person, provider=provider.issuer, sign_in=finished.sign_in)
            response = self._enter(request, secret, _back(finished.return_to))
        drop_cookie(response, SIGN_IN_COOKIE)
        return response

    def _provider(self) -> Provider:
        if self.sign_in.provider is None:
            raise ArmError("NoSignInProvider", "No OpenID provider is set up here. Sign in with a link.", status=404)
        return self.sign_in.provider

    def _enter(self, request: Request, secret: str, back: str) -> Response:
        before = cookie_of(request, SESSION_COOKIE)
        if before:
            self.sign_in.sessions.close(before)
        response = render.redirect(request, back)
        set_cookie(response, SESSION_COOKIE, secret)
        return response

    def _sign_out(self, request: Request, body: bytes, _correlation: str) -> Response:
        """Also from a stale page: whoever wants out gets out. Other sites cannot send this."""
        require_own_page(request, self.hosts)
        secret = cookie_of(request, SESSION_COOKIE)
        if secret:
            self.sign_in.sessions.close(secret)
        response = render.redirect(request, "/portal/sign-in")
        drop_cookie(response, SESSION_COOKIE)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def _choose(self, request: Request, body: bytes, _correlation: str) -> Response:
        """Remember the subscription to look at. It is a view, not a right: the API decides what can be seen in it."""
        require_own_page(request, self.hosts)
        form = Form.read(body, request.headers.get("content-type", ""))
        secret = cookie_of(request, SESSION_COOKIE)
        if not secret or self.sign_in.sessions.find(secret) is None or not is_token(form.get(TOKEN), self.sign_in.sessions.csrf(secret)):
            return render.redirect(request, "/portal/sign-in")
        response = render.redirect(request, HOME)
        set_cookie(response, SUBSCRIPTION_COOKIE, form.get("subscription")[:64], seconds=_SUBSCRIPTION_SECONDS)
        return response

    def _show(self, request: Request, back: str, *, problem: str = "", field: str = "") -> Response:
        provider = self.sign_in.provider
        page = SignInPage(
            back=back,
            provider=provider.label if provider else "",
            provider_url=f"/portal/sign-in/provider?return={quote(back, safe='')}" if provider else "",
            problems=Problems(found=(Problem(field=field, message=problem),) if problem else ()),
        )
        values = {"visit": None, "token": "", "now": 0, "url": request.url.path, "path": request.url.path, "live_url": "", "nav": ""}
        status = 422 if field else 401 if problem else 200
        return self.renderer.html(request, "sign_in.html", {**values, "page": page}, status=status)


def _back(given: str) -> str:
    """Where to go after signing in: a page of the portal, home for anything else."""
    path = local_path(given)
    return path if path.startswith("/portal/") and not path.startswith("/portal/sign-") else HOME
