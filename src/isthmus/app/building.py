"""One program out of its parts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.applications import Starlette

from isthmus.api import figures, site
from isthmus.api.entries import SignIn
from isthmus.api.frame import Frame
from isthmus.api.health import Health
from isthmus.app.core import Core, Reach, join, reach_aws
from isthmus.app.face import entries, face, token_endpoint
from isthmus.app.footing import Footing, open_footing, record_start
from isthmus.engine import Engine
from isthmus.engine.installation import Installation
from isthmus.keys import LocalAuthority
from isthmus.metrics import Metrics
from isthmus.settings import Settings
from isthmus.solutions.rotation import AFTER
from isthmus.tracing import begin_tracing
from isthmus.work import Work


@dataclass(frozen=True, kw_only=True)
class Application:
    """A built program. Serving `asgi` launches durable work and closes everything at the end; who does not serve it calls `close`.

    `authority` made the certificate that clients are to trust; `sign_in` lets people in and out; `retire` ends the streams of live pages,
    from any thread, so that serving can end.
    """

    asgi: Starlette
    retire: Callable[[], None]
    engine: Engine
    work: Work
    authority: LocalAuthority
    installation: Installation
    public_url: str
    sign_in: SignIn
    close: Callable[[], None]


def build(
    settings: Settings, *, port: int, environ: Mapping[str, str] = os.environ, has_face: bool = True, accepts_new_keys: bool = False
) -> Application:
    """Open the store, mint what a first start mints, and put the parts together. `port` is the one that is listened on.

    Without a face it works, and serves health and metrics alone. `accepts_new_keys` lets it sign with other keys than the database knows.
    """
    footing = open_footing(settings, port)
    tracing = begin_tracing(environ)
    reach, metrics = reach_aws(footing.aws, environ, tracing), Metrics()
    core = join(footing, reach, metrics, settings, tracing)
    record_start(core.engine, footing, accepts_new_keys=accepts_new_keys)
    core.index.catch_up()
    tokens = token_endpoint(footing)
    sign_in = entries(settings, footing, core, tokens)

    def close() -> None:
        with ExitStack() as ends:  # from the last to the first, each whatever happens to those before
            if tracing is not None:
                ends.callback(tracing.close)
            ends.callback(footing.store.close)
            ends.callback(core.refusals.flush)
            if core.graph is not None:
                ends.callback(core.graph.close)
            ends.callback(reach.loop.close)
            ends.callback(lambda: reach.loop.run(reach.wire.close()))
            ends.callback(core.work.stop)

    _measure(metrics, footing, reach, core)
    health = Health(footing.store, lambda: core.work.is_running, metrics, {"keys": footing.say_keys})
    frame = Frame(public_url=footing.public_url, hosts=footing.hosts, observe=health.observe, tracing=tracing)
    if has_face:
        asgi, retire = face(footing, core, settings, tokens=tokens, sign_in=sign_in, health=health, frame=frame, close=close)
    else:
        asgi, retire = site.bare(health=health, frame=frame, launch=core.work.launch, close=close), _nothing
    return Application(
        asgi=asgi,
        retire=retire,
        engine=core.engine,
        work=core.work,
        authority=footing.authority,
        installation=footing.installation,
        public_url=footing.public_url,
        sign_in=sign_in,
        close=close,
    )


def _measure(metrics: Metrics, footing: Footing, reach: Reach, core: Core) -> None:
    figures.connect(
        metrics,
        figures.Figures(footing.store, core.work.backlog, time.time),
        store=footing.store,
        calls=reach.wire.calls,
        throttles=reach.pacer.throttles,
        refusals=core.refusals.counts,
        key_ages=lambda: {ring.purpose: (ring.age, ring.due_in(AFTER)) for ring in footing.rings},
        certificates=lambda: {one.file: one.ends_at / 1000 - time.time() for one in footing.authority.expiries()},
    )


def _nothing() -> None:
    """There are no streams to end."""
