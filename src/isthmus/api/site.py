"""The ASGI application: a list of routes, everything else is ARM."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from isthmus.access.entra.subscriptions import PATH as NOTIFICATIONS
from isthmus.api.agents import Agents
from isthmus.api.arm import Arm
from isthmus.api.claims import PATH as CLAIMS
from isthmus.api.claims import Claims
from isthmus.api.directory import Directory
from isthmus.api.events import PATH as EVENTS
from isthmus.api.events import Events
from isthmus.api.frame import Frame, Handler
from isthmus.api.health import Health
from isthmus.api.notified import Notified
from isthmus.api.provisioning import ROOT, Provisioning, refused

_ALL = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"]


def bare(*, health: Health, frame: Frame, launch: Callable[[], None], close: Callable[[], None]) -> Starlette:
    """For a process that only works: health and metrics, and nothing else."""
    app = Starlette(lifespan=_lifespan(launch, close), exception_handlers={HTTPException: frame.refuse}, routes=_watched(health, frame))
    app.router.redirect_slashes = False
    return app


def _lifespan(launch: Callable[[], None], close: Callable[[], None]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(launch)
        try:
            yield
        finally:
            await run_in_threadpool(close)

    return lifespan


def _watched(health: Health, frame: Frame) -> list[Route]:
    return [
        Route("/healthz", frame.endpoint(health.alive), methods=["GET"]),
        Route("/readyz", frame.endpoint(health.ready), methods=["GET"]),
        Route("/metrics", health.metrics, methods=["GET"]),
    ]


def build(
    *,
    arm: Arm,
    directory: Directory,
    agents: Agents,
    provisioning: Provisioning,
    notices: Notified,
    claims: Claims,
    events: Events,
    portal: Sequence[BaseRoute],
    health: Health,
    frame: Frame,
    launch: Callable[[], None],
    close: Callable[[], None],
) -> Starlette:
    """All routes. Order does not matter: the fixed paths are none of ARM's. `launch` and `close` frame the serving; both may block."""

    def route(path: str, handler: Handler, methods: list[str]) -> Route:
        return Route(path, frame.endpoint(handler), methods=methods)

    discovery, keys = directory.issuer_paths
    scim = frame.endpoint(provisioning.answer, refused)
    app = Starlette(
        lifespan=_lifespan(launch, close),
        exception_handlers={HTTPException: frame.refuse},
        routes=[
            *_watched(health, frame),
            route("/metadata/endpoints", directory.metadata, ["GET"]),
            route(discovery, directory.issuer_discovery, ["GET"]),
            route(keys, directory.issuer_keys, ["GET"]),
            route("/sign-in", directory.sign_in, ["POST"]),
            route("/agent/v1/challenge", agents.challenge, ["POST"]),
            route("/agent/v1/enrol", agents.enrol, ["POST"]),
            route("/agent/v1/heartbeat", agents.heartbeat, ["POST"]),
            route("/agent/v1/renew", agents.renew, ["POST"]),
            route("/agent/v1/disconnect", agents.disconnect, ["POST"]),
            route("/{tenant}/v2.0/.well-known/openid-configuration", directory.discovery, ["GET"]),
            route("/{tenant}/.well-known/openid-configuration", directory.discovery, ["GET"]),
            route("/{tenant}/discovery/v2.0/keys", directory.keys, ["GET"]),
            route("/{tenant}/oauth2/v2.0/token", directory.token, ["POST"]),
            route("/{tenant}/oauth2/v2.0/authorize", directory.authorize, ["GET"]),
            route("/{tenant}/oauth2/v2.0/devicecode", directory.device_code, ["POST"]),
            route("/{tenant}/oauth2/v2.0/revoke", directory.revoke, ["POST"]),
            route(EVENTS, events.answer, ["POST"]),
            route(NOTIFICATIONS, notices.answer, ["POST"]),
            route(CLAIMS, claims.answer, ["POST"]),
            *(Route(path, scim, methods=_ALL) for path in (ROOT, f"{ROOT}/{{path:path}}")),
            *portal,
            route("/{path:path}", arm.answer, _ALL),
        ],
    )
    # ARM ids have no form with a slash at the end, and a redirect would repeat whatever host the request names.
    app.router.redirect_slashes = False
    return app
