"""The one place that makes answers for browsers: templates, nonces, headers, compression. No other code builds HTML."""

from __future__ import annotations

import gzip
import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.bccache import Bucket
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from isthmus.portal import words
from isthmus.portal.assets import Assets
from isthmus.portal.page import Piece

_POLICIES = "htmx vrows"
"""Trusted Types policies: htmx's own, and that of our virtual table."""
_WORTH_COMPRESSING = 1_000
_HX = re.compile(r"^[a-z][a-z:-]*$")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Vary": "Accept, Accept-Encoding, Cookie, HX-Request",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer of the portal."""


def policy(nonce: str, forms: str = "") -> str:
    """The Content-Security-Policy of one answer: our own files and this nonce, no frames, no inline handlers, Trusted Types.

    `forms` is one more origin to which the answer to a form may lead.
    """
    actions = f"'self' {forms}".strip()
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; form-action {actions}; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        f"trusted-types {_POLICIES}"
    )


def secured(nonce: str = "", forms: str = "") -> dict[str, str]:
    """The headers of an answer; without a nonce no script and no htmx attribute in it counts."""
    return {**HEADERS, "Content-Security-Policy": policy(nonce or secrets.token_urlsafe(18), forms)}


class _Compiled(BytecodeCache):
    """The code of templates for every renderer of the process: compiling takes longer than answering, and a process may build many."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Renderer:
    """Templates become answers. `assets` name the files that pages load."""

    def __init__(self, assets: Assets) -> None:
        self._templates = Environment(
            loader=PackageLoader("isthmus.portal", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_COMPILED,
        )
        self._templates.globals |= {"asset": assets.path, "hx": _hx, **words.FUNCTIONS}
        self._templates.filters |= words.FILTERS

    def html(
        self,
        request: Request,
        template: str,
        values: Mapping[str, Any],
        *,
        block: str = "",
        status: int = 200,
        total: int | None = None,
        forms: str = "",
    ) -> Response:
        """A page, or one block of it, under a nonce of its own. `total` tells a list how many rows it has; `forms` as in `policy`."""
        nonce = secrets.token_urlsafe(18)
        text = self._text(template, {**values, "nonce": nonce}, block)
        headers = secured(nonce, forms) | ({"X-Total": str(total)} if total is not None else {})
        return _packed(request, text.encode(), "text/html; charset=utf-8", status, headers)

    def piece(self, template: str, values: Mapping[str, Any]) -> Piece:
        """Renders blocks of a template for a stream. They show and do nothing: there is no nonce in them."""

        def render(block: str, **more: Any) -> str:
            return self._text(template, {**values, **more, "nonce": ""}, block)

        return render

    def _text(self, name: str, values: Mapping[str, Any], block: str) -> str:
        template = self._templates.get_template(name)
        if not block:
            return template.render(values)
        context = template.new_context(dict(values))
        return "".join(template.blocks[block](context))


def json(request: Request, value: object, *, status: int = 200) -> Response:
    """The same for programs."""
    content = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return _packed(request, content, "application/json; charset=utf-8", status, secured())


def redirect(request: Request, to: str) -> Response:
    """Go on at a page of ours; htmx is told in its own way, since it would follow by itself and stay at the old address."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=200, headers={**secured(), "HX-Redirect": to})
    return Response(status_code=303, headers={**secured(), "Location": to})


def _packed(request: Request, content: bytes, media_type: str, status: int, headers: Mapping[str, str]) -> Response:
    packed = dict(headers)
    if len(content) >= _WORTH_COMPRESSING and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, compresslevel=5, mtime=0)
        packed["Content-Encoding"] = "gzip"
    return Response(b"" if request.method == "HEAD" else content, status_code=status, media_type=media_type, headers=packed)


@pass_context
def _hx(context: Context, **attributes: str) -> Markup:
    """htmx attributes with the nonce without which they do not count: `hx(get="/x", target="#y", sse_connect="/z")`."""
    nonce = context.get("nonce", "")
    named = {name.replace("sse_", "sse:").replace("_", "-"): value for name, value in attributes.items()}
    if not all(_HX.match(name) for name in named):
        raise ValueError(f"not names of htmx attributes: {', '.join(named)}")
    parts = [Markup('hx-{}="{}"').format(name, value) for name, value in named.items()]
    return Markup(" ").join([*parts, Markup('hx-nonce="{}"').format(escape(nonce))])
