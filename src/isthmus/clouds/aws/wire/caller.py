"""The caller: one HTTP exchange with AWS per call, on connections that all accounts share."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from isthmus.clouds.aws.wire.credentials import Credentials


class Wire:
    """Calls AWS. One per process; it owns the TLS context and the connections."""

    def __init__(self, *, environ: Mapping[str, str], clock: Callable[[], float], timeout: float = 60.0) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._environ = environ
        self._clock = clock
        self._timeout = timeout

    async def call(self, operation: str, params: Mapping[str, Any], *, region: str, credentials: Credentials | None) -> dict[str, Any]:
        """One HTTP exchange: no retry, no paging. `credentials=None` sends it unsigned. Timestamps stay text, blobs base64 text.

        Raises AwsError for what AWS refuses, AwsTransportError when no usable answer comes, ValueError for an unknown operation or
        parameters that its model does not allow.
        """
        raise NotImplementedError

    async def pages(
        self, operation: str, params: Mapping[str, Any], *, region: str, credentials: Credentials
    ) -> AsyncIterator[dict[str, Any]]:
        """Every page of a list, asked for at the largest size the model allows. A page may be empty and still have a successor.

        Raises AwsError `RepeatedToken` when a token comes back unchanged.
        """
        yield await self.call(operation, params, region=region, credentials=credentials)

    async def close(self) -> None:
        """Close all connections."""
