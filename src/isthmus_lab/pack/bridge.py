"""Whole services that ministack lacks and moto has, answered by moto in this process.

Fall back per service, never per operation: the state of a service must lie in one place. moto is loaded by the first call, in a
worker thread, since it takes about a second.
"""

import asyncio
import functools
import importlib
import io
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import Headers, NewService, Query
from isthmus_lab.world import Response

BRIDGED = (
    NewService(name="guardduty", botocore="guardduty"),
    NewService(name="redshift", botocore="redshift", query_namespace="http://redshift.amazonaws.com/doc/2012-12-01/"),
    NewService(
        name="elasticbeanstalk", botocore="elasticbeanstalk", query_namespace="http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/"
    ),
    NewService(name="dax", botocore="dax"),
    NewService(name="dms", botocore="dms"),
    NewService(name="network-firewall", botocore="network-firewall"),
    NewService(name="sagemaker", botocore="sagemaker"),
    NewService(name="route53domains", botocore="route53domains"),
)

_DROPPED = frozenset({"content-length", "connection", "server", "date", "transfer-encoding", "access-control-allow-origin"})
_UNKNOWN = ("InvalidAction", "The lab's engine for this service does not know this operation.")


class Bridge:
    """moto behind ministack's signature check and policies."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def install(self) -> None:
        """Add the services."""
        for service in BRIDGED:
            self._adapter.requests.add_service(service, functools.partial(self._answer, service.name))

    async def reset(self) -> None:
        """Forget moto's state, if it was ever loaded."""
        if "moto.server" in sys.modules:
            await asyncio.to_thread(_call, "moto", "us-east-1", "POST", "/moto-api/reset", {}, b"", {}, "")

    async def _answer(self, service: str, method: str, path: str, headers: Headers, body: bytes, query: Query) -> Response:
        adapter = self._adapter
        status, names, answer = await asyncio.to_thread(
            _call, service, adapter.region(), method, path, headers, body, query, adapter.account()
        )
        # moto answers what it does not know with HTML pages or bare texts; an SDK could not read those.
        if status >= 400 and not answer.lstrip().startswith((b"{", b"<?xml", b"<Err")):
            return adapter.error(service, *_UNKNOWN, 400, headers)
        if answer.startswith(b"{"):
            names["content-type"] = "application/x-amz-json-1.1" if "x-amz-target" in headers else "application/json"
        return status, names, answer


@functools.cache
def _application() -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    application = importlib.import_module("moto.moto_server.werkzeug_app")
    importlib.import_module("moto.server")
    made: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]] = application.DomainDispatcherApplication(
        application.create_backend_app
    )
    return made


def _call(service: str, region: str, method: str, path: str, headers: Headers, body: bytes, query: Query, account: str) -> Response:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": urlencode(query, doseq=True),
        "SERVER_NAME": f"{service}.{region}.amazonaws.com",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers.get("content-type", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"HTTP_HOST": f"{service}.{region}.amazonaws.com", "HTTP_X_MOTO_ACCOUNT_ID": account}
    started: list[tuple[int, Headers]] = []

    def start(status: str, pairs: list[tuple[str, str]], failure: object = None) -> None:
        started.append((int(status.split()[0]), {name.lower(): value for name, value in pairs if name.lower() not in _DROPPED}))

    answer = b"".join(_application()(environ, start))
    status, names = started[-1]
    return status, names, answer
