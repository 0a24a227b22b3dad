"""What the rest of the world publishes."""

from __future__ import annotations

import json
from typing import Any


class Web:
    """Documents of foreign issuers, by address; counts what was fetched."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []

    def publish(self, address: str, document: dict[str, Any]) -> None:
        self.pages[address] = json.dumps(document).encode()

    def fetch(self, address: str) -> bytes:
        self.asked.append(address)
        if address not in self.pages:
            raise ConnectionError(address)
        return self.pages[address]
