"""`python -m bench.peer_lists`: list by boto3 what standard input names, with 32 threads; a child, so that its CPU time is its own.

Reads JSON `{"arguments": {boto3 client arguments without region}, "lists": [[service, operation, parameters, region], …]}`, prints
`{"cpu", "wall", "lists", "failed"}`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

THREADS = 32


class Lister:
    """Clients by service and region, made once; all of one session, as boto3's users share its loader."""

    def __init__(self, arguments: dict[str, str]) -> None:
        self._arguments = arguments
        self._session = boto3.Session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()

    def list(self, service: str, operation: str, parameters: dict[str, Any], region: str) -> bool:
        """Every page of one list; whether AWS answered."""
        with self._making:
            client = self._clients.get((service, region))
            if client is None:
                options = Config(max_pool_connections=THREADS, retries={"mode": "standard"})
                client = self._session.client(service, region_name=region, config=options, **self._arguments)
                self._clients[service, region] = client
        method = _method(client, operation)
        try:
            if client.can_paginate(method):
                for _ in client.get_paginator(method).paginate(**parameters):
                    pass
            else:
                getattr(client, method)(**parameters)
        except (ClientError, BotoCoreError):
            return False
        return True


def _method(client: Any, operation: str) -> str:
    names: dict[str, str] = client.meta.method_to_api_mapping
    return next(method for method, name in names.items() if name == operation)


def main() -> None:
    """List, and say what it cost from here on: imports are not counted."""
    asked = json.load(sys.stdin)
    lister = Lister(asked["arguments"])
    cpu, wall = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        worked = list(pool.map(lambda one: lister.list(*one), asked["lists"]))
    result = {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall, "lists": len(worked), "failed": worked.count(False)}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
