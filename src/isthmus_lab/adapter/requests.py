"""The request path of ministack: its ASGI application, its handlers, what it authorises on, its errors."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import ministack.app as engine
from ministack.core import iam_actions, responses, router

from isthmus_lab.hooks import Handler, Headers, NewService, Query, ResourceNamer, Wrapper
from isthmus_lab.world import Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AdapterError(RuntimeError):
    """ministack is not the one this adapter was written against."""


class Requests:
    """How requests reach ministack and its handlers, and how the pack gets in between."""

    def __init__(self) -> None:
        self._self_authorised: frozenset[str] = frozenset()
        self._extract_iam_action = iam_actions.extract_iam_action
        iam_actions.extract_iam_action = self._action_to_check

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ministack's ASGI application."""
        await engine.app(scope, receive, send)

    def wrap(self, service: str, wrapper: Wrapper) -> None:
        """Put `wrapper` in front of a service; its last argument is the handler that answered until now."""
        inner: Handler = engine.SERVICE_HANDLERS[service]

        async def wrapped(method: str, path: str, headers: Headers, body: bytes, query: Query) -> Response:
            return await wrapper(method, path, headers, body, query, inner)

        engine.SERVICE_HANDLERS[service] = wrapped

    def add_service(self, service: NewService, handler: Handler) -> None:
        """Add a service that ministack lacks, under its signing name; ministack signs and authorises for it."""
        name = service.name
        if name in engine.SERVICE_HANDLERS:
            raise AdapterError(f"ministack has a service {name} of its own now: the pack need not add it.")
        engine.SERVICE_HANDLERS[name] = handler
        # Without an entry ministack reads every model of botocore, on the event loop, to find out whether the name is a service.
        router.SERVICE_PATTERNS[name] = {"target_prefixes": [], "host_patterns": []}
        iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = name
        iam_actions._BOTOCORE_SERVICE_MAP[name] = [service.botocore]
        if service.query_namespace:
            iam_actions._SERVICE_PROTOCOL[name] = "query-xml"
            iam_actions._QUERY_XML_NS[name] = service.query_namespace

    def authorise_later(self, actions: frozenset[str]) -> None:
        """For these actions (`ssm:SendCommand` …) ministack only authenticates; their handler authorises with `denial`."""
        self._self_authorised |= actions

    def _action_to_check(self, service: str, method: str, path: str, headers: Headers, body: bytes, query: Any) -> str | None:
        action: str | None = self._extract_iam_action(service, method, path, headers, body, query)
        return None if action in self._self_authorised else action

    def name_resources(self, namer: ResourceNamer) -> None:
        """Ask `namer` which resource a call is authorised on, before ministack, which says `*` for many."""
        plain = iam_actions.extract_resource_arn

        def named(
            service: str, method: str, path: str, headers: Headers, body: bytes, query: Mapping[str, Any], region: str, account: str
        ) -> str:
            action = self._extract_iam_action(service, method, path, headers, body, query) or ""
            found = namer(action, lambda name: str(iam_actions._query_param(query, name) or ""), body, region, account)
            return found or str(plain(service, method, path, headers, body, query, region, account))

        iam_actions.extract_resource_arn = named

    def identify(self, method: str, path: str, headers: Headers, body: bytes, query: Query) -> tuple[str, str, str, str]:
        """(service, IAM action name, region, access key) of a request; the action is empty when it cannot be told."""
        parameters = engine._routing_params(method, path, headers, body, query)
        service = router.detect_service(method, path, headers, parameters)
        action = self._extract_iam_action(service, method, path, headers, body, parameters) or ""
        return service, action.partition(":")[2], router.extract_region(headers, query), router.extract_access_key_id(headers, query)

    def account_of_key(self, access_key: str) -> str:
        """The account that a request with this access key acts in."""
        return str(responses._account_from_sts_session(access_key) or engine._request_account_scope(access_key))

    def error(self, service: str, code: str, message: str, status: int, headers: Mapping[str, str]) -> Response:
        """An error in the protocol of the service, as its SDK parses it; codes of failed authentication take each service's own spelling
        and status (EC2 `AuthFailure`, JSON `UnrecognizedClientException`, query `InvalidClientTokenId`)."""
        own, names, body = iam_actions.access_denied_response(
            service, "", "", str(uuid.uuid4()), error_code=code, message=message, headers=dict(headers)
        )
        return own if code in iam_actions._AUTH_FAILURES else status, names, body

    async def reset(self) -> None:
        """Forget every resource of every account."""
        async with engine._get_reset_lock():
            engine._reset_all_state()
