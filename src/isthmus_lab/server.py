"""The server process of the lab: ministack with our pack under hypercorn. Start it with `python -m isthmus_lab` or `LabProcess`."""

import asyncio
import json
import os
import random
import secrets
import signal
import string
import sys
import time

import hypercorn.asyncio
import hypercorn.config

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.console import Console
from isthmus_lab.environment import is_scrubbed, listener_descriptor, state_dir
from isthmus_lab.faults import Faults
from isthmus_lab.front import Front
from isthmus_lab.pack.install import Pack
from isthmus_lab.pack.issuers import Issuers
from isthmus_lab.ssm.service import SsmService
from isthmus_lab.trail.delivery import Delivery
from isthmus_lab.trail.lookup import Lookup
from isthmus_lab.trail.recorder import Recorder
from isthmus_lab.trail.store import Store

DELIVERY_SECONDS = 10.0
"""Between log files of trails; AWS takes minutes."""


async def run(port: int, listener: int) -> None:
    """Serve on the inherited listener, which has the port, until SIGTERM or SIGINT; prints the ready line once requests are taken."""
    url = f"http://127.0.0.1:{port}"
    adapter = Adapter(endpoint=url, state_dir=state_dir(os.environ), clock=time.time)
    issuers = Issuers(time.time)
    ssm = SsmService(adapter)
    pack = Pack(adapter, issuers, ssm)
    pack.install()
    ssm.machines.tell(pack.instance_connect.keys.facts)
    store = Store()
    recorder = Recorder(adapter, store, series=secrets.randbits(64), clock=time.time)
    delivery = Delivery(adapter.trails, store, clock=time.time, word=_word)
    console = Console(adapter.sessions, time.time)
    adapter.requests.wrap("cloudtrail", Lookup(adapter, store))

    async def reset() -> None:
        await adapter.requests.reset()
        await pack.reset()
        await ssm.reset()
        recorder.clear()
        delivery.clear()
        console.clear()

    front = Front(adapter, Faults(random.Random()), issuers, pack.fixtures, ssm, recorder, delivery, console, reset)  # noqa: S311 — chance of an injected fault, no secret
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = 120.0
    config.h11_max_incomplete_size = 1 << 20
    server = asyncio.create_task(hypercorn.asyncio.serve(front, config, shutdown_trigger=stopping.wait))  # type: ignore[arg-type]
    await ssm.start()
    delivering = asyncio.create_task(_deliver_often(delivery))
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    try:
        await server
    finally:
        delivering.cancel()
        await ssm.stop()


async def _deliver_often(delivery: Delivery) -> None:
    while True:
        await asyncio.sleep(DELIVERY_SECONDS)
        await delivery.deliver()


def _word() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))


def main() -> None:
    """Run the server in this process."""
    if not is_scrubbed(os.environ):
        sys.exit("The lab needs an environment of its own. Start it with: python -m isthmus_lab")
    # Worker threads that load moto or run handlers would otherwise hold the event loop up for 5 ms at a time.
    sys.setswitchinterval(0.0005)
    asyncio.run(run(int(os.environ["GATEWAY_PORT"]), listener_descriptor()))


if __name__ == "__main__":
    main()
