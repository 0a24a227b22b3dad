"""What every request to the lab passes before ministack: admin paths, call counter, faults, regions that are not opted in."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.adapter.requests import Receive, Scope, Send
from isthmus_lab.asgi import Request, break_off, json_answer, read_request, replay, send_answer
from isthmus_lab.call import Call, begin
from isthmus_lab.console import PAGE, Console
from isthmus_lab.faults import FaultRule, Faults
from isthmus_lab.pack.fixtures import Fixture, Fixtures
from isthmus_lab.pack.install import CLOSED_REGION
from isthmus_lab.pack.issuers import Issuer, Issuers
from isthmus_lab.process import ADMIN_HEADER
from isthmus_lab.trail.delivery import Delivery
from isthmus_lab.trail.recorder import Recorder
from isthmus_lab.world import Response, Ssm

_UNCOUNTED = ("/_ministack/", "/_localstack/", "/health")
_GUARDED = ("/_ministack/reset", "/_ministack/config")


class Front:
    """The lab's ASGI application."""

    def __init__(
        self,
        adapter: Adapter,
        faults: Faults,
        issuers: Issuers,
        fixtures: Fixtures,
        ssm: Ssm,
        recorder: Recorder,
        delivery: Delivery,
        console: Console,
        reset: Callable[[], Awaitable[None]],
    ) -> None:
        self._adapter, self._faults, self._issuers, self._ssm, self._reset = adapter, faults, issuers, ssm, reset
        self._fixtures, self._recorder, self._delivery = fixtures, recorder, delivery
        self._console = console
        self.calls: Counter[tuple[str, str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._adapter.requests.serve(scope, receive, send)
            return
        request = await read_request(scope, receive)
        if request.path.startswith("/_lab/"):
            await send_answer(send, await self._admin(request))
        elif request.path.startswith(_GUARDED) and not _may_administer(request):
            await send_answer(send, _forbidden())
        elif self._console.is_for(request):
            await self._sign_in(scope, request, send)
        elif request.path.startswith(_UNCOUNTED):
            await self._adapter.requests.serve(scope, replay(request.body, receive), send)
        else:
            await self._aws(scope, request, receive, send)

    async def _aws(self, scope: Scope, request: Request, receive: Receive, send: Send) -> None:
        service, action, region, key = self._adapter.requests.identify(
            request.method, request.path, request.headers, request.body, request.query
        )
        self.calls[service, action, region] += 1
        call = Call(service=service, action=action, region=region, key=key)
        send = self._recorder.listen(call, _source(scope), request.path, request.headers, request.query, request.body, send)
        rule = self._faults.match(
            service=service, action=action, account=self._adapter.requests.account_of_key(key) if key else "", region=region
        )
        if rule is not None:
            await asyncio.sleep(rule.delay)
            if rule.drop:
                await break_off(send)
                return
            if error := rule.error(service):
                await send_answer(send, self._adapter.error(service, error[0], rule.message, error[1], request.headers))
                return
        if region == CLOSED_REGION and key:
            message = "The security token included in the request is invalid."
            await send_answer(send, self._adapter.error(service, "UnrecognizedClientException", message, 403, request.headers))
            return
        begin(call)
        await self._adapter.requests.serve(scope, replay(request.body, receive), send)

    async def _sign_in(self, scope: Scope, request: Request, send: Send) -> None:
        """Serve the console's double; its sign-ins stand in the trail."""
        if request.path == PAGE:
            await send_answer(send, await self._console.page(request, self))
            return
        answer, call = self._console.sign_in(request)
        if call is not None:
            send = self._recorder.listen(call, _source(scope), request.path, request.headers, {}, b"", send)
        await send_answer(send, answer)

    async def _admin(self, request: Request) -> Response:
        if not _may_administer(request):
            return _forbidden()
        if request.path.startswith("/_lab/machines"):
            answer = await self._ssm.admin(request.method, request.path, request.body)
            return answer or json_answer(404, {"error": f"No admin path {request.path}"})
        route = _ROUTES.get((request.method, request.path))
        if route is None:
            return json_answer(404, {"error": f"No admin path {request.method} {request.path}"})
        try:
            return json_answer(200, await route(self, request.body))
        except ValidationError as error:
            return json_answer(400, {"error": json.loads(error.json(include_url=False, include_context=False))})

    async def _list_faults(self, body: bytes) -> object:
        return self._faults.listed()

    async def _add_fault(self, body: bytes) -> object:
        self._faults.add(FaultRule.model_validate_json(body))
        return self._faults.listed()

    async def _clear_faults(self, body: bytes) -> object:
        self._faults.clear()
        return []

    async def _add_issuer(self, body: bytes) -> object:
        self._issuers.add(Issuer.model_validate_json(body))
        return self._issuers.hosts()

    async def _set_fixture(self, body: bytes) -> object:
        self._fixtures.put(Fixture.model_validate_json(body))
        return {}

    async def _list_calls(self, body: bytes) -> object:
        rows = [{"service": s, "action": a, "region": r, "count": n} for (s, a, r), n in sorted(self.calls.items())]
        return {"total": self.calls.total(), "calls": rows}

    async def _clear_calls(self, body: bytes) -> object:
        self.calls.clear()
        return {"total": 0, "calls": []}

    async def _list_sessions(self, body: bytes) -> object:
        return {"sessions": self._adapter.sessions.open_secrets()}

    async def _deliver_trails(self, body: bytes) -> object:
        return {"files": await self._delivery.deliver()}

    async def _reset_all(self, body: bytes) -> object:
        await self._reset()
        self._faults.clear()
        self.calls.clear()
        return {}


_ROUTES: dict[tuple[str, str], Callable[[Front, bytes], Awaitable[object]]] = {
    ("GET", "/_lab/faults"): Front._list_faults,
    ("POST", "/_lab/faults"): Front._add_fault,
    ("DELETE", "/_lab/faults"): Front._clear_faults,
    ("POST", "/_lab/issuers"): Front._add_issuer,
    ("POST", "/_lab/fixtures"): Front._set_fixture,
    ("GET", "/_lab/calls"): Front._list_calls,
    ("DELETE", "/_lab/calls"): Front._clear_calls,
    ("GET", "/_lab/sessions"): Front._list_sessions,
    ("POST", "/_lab/trails/deliver"): Front._deliver_trails,
    ("POST", "/_lab/reset"): Front._reset_all,
}


def _source(scope: Scope) -> str:
    return str((scope.get("client") or ("127.0.0.1",))[0])


def _may_administer(request: Request) -> bool:
    """Browsers cannot send the header to another origin without a preflight, which the lab does not answer for these paths; a name that
    was pointed at loopback (DNS rebinding) shows in the Host header."""
    host = request.headers.get("host", "").rpartition(":")[0]
    return ADMIN_HEADER in request.headers and host in ("127.0.0.1", "localhost")


def _forbidden() -> Response:
    return json_answer(403, {"error": f"Admin paths need the header {ADMIN_HEADER}: 1 and a loopback host"})
