"""Files that pages load: read once, named by their content, kept by browsers for a year."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

PREFIX = "/portal/static"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
SCRIPTS = ("vendor/htmx.min.js", "vendor/hx-csp.min.js", "vendor/hx-sse.min.js", "elements.js")
"""What `portal.js` is made of. htmx sets to work as soon as the browser is idle after its own script: were its extensions files of their
own, a slow one would come after that, and neither would the nonces of attributes be checked nor streams be opened."""
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """One file: what it is, as it is and compressed, and a hash of what it holds."""

    media_type: str
    plain: bytes
    packed: bytes
    digest: str


class Assets:
    """The folder `static`. `path` names a file in pages, `answer` serves it."""

    def __init__(self) -> None:
        self._files = _read()

    def path(self, name: str) -> str:
        """The address of a file, with its hash: a changed file is another address."""
        return f"{PREFIX}/{self._files[name].digest}/{name}"

    async def answer(self, request: Request) -> Response:
        """A file; 404 for another name or hash."""
        found = self._files.get(request.path_params["name"])
        if found is None or found.digest != request.path_params["digest"]:
            return PlainTextResponse("Nothing here has this name.", status_code=404, headers={"X-Content-Type-Options": "nosniff"})
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = _HEADERS | ({"Content-Encoding": "gzip"} if packed else {})
        return Response(found.packed if packed else found.plain, media_type=found.media_type, headers=headers)


@cache
def _read() -> Mapping[str, Asset]:
    """Every file under its name in the folder, and the script that is made of several."""
    found = {name: _asset(name, file.read_bytes()) for name, file in _walk(files("isthmus.portal") / "static", "")}
    return found | {"portal.js": _asset("portal.js", b";\n".join(_lean(found[name].plain) for name in SCRIPTS))}


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            yield f"{prefix}{entry.name}", entry


def _lean(script: bytes) -> bytes:
    """A script without its lines of comment and its indentation: nothing in ours is a text of several lines."""
    return b"\n".join(line for raw in script.splitlines() if (line := raw.strip()) and not line.startswith(b"//"))


def _asset(name: str, plain: bytes) -> Asset:
    return Asset(
        media_type=_TYPES[name.rpartition(".")[2]],
        plain=plain,
        packed=gzip.compress(plain, compresslevel=9, mtime=0),
        digest=hashlib.sha256(plain).hexdigest()[:16],
    )
