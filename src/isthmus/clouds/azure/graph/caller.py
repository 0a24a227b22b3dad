"""Asking Graph: with our token, again after a while where it says so, and page after page on the same host."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from isthmus.clouds.azure.graph.faults import GraphFault, GraphGone, GraphRefused, GraphUnavailable
from isthmus.clouds.azure.graph.place import Place
from isthmus.clouds.azure.graph.tokens import Tokens
from isthmus.clouds.azure.graph.wire import Said, Wire

PATIENCE = 6.0
"""Seconds for one call, with everything that is waited for, where a person waits."""
_AGAIN = frozenset({429, 502, 503, 504})
_MOST_PAGES = 10_000
_CODE = re.compile(r"[A-Za-z0-9_.]{1,64}")

Observe = Callable[[str, str], None]
"""Told the name of a call and how each request of it ended."""


def observe_nothing(_call: str, _outcome: str) -> None:
    """For those who do not count."""


class Caller:
    """Calls with bounded patience. Once Graph says when to come back, nobody comes sooner; `monotonic` and `sleep` tell and pass time."""

    def __init__(
        self,
        place: Place,
        tokens: Tokens,
        wire: Wire,
        *,
        observe: Observe = observe_nothing,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.place = place
        self._tokens = tokens
        self._wire = wire
        self._observe = observe
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._closed_until = float("-inf")

    def call(
        self,
        name: str,
        method: str,
        target: str,
        body: Mapping[str, Any] | None = None,
        *,
        patience: float = PATIENCE,
        is_repeatable: bool = True,
        prefer: str = "",
    ) -> dict[str, Any] | None:
        """The JSON of a success (empty where it has none), None for 404. `target` is a path below the origin, or a link that Graph gave.

        GraphUnavailable when there is no answer within `patience` seconds, GraphRefused for 401 and 403, GraphGone for 410, GraphFault
        for any other refusal. What is not repeatable is sent once, unless Graph says that it did nothing (429).
        """
        url = self._url(target)
        until = self._monotonic() + patience
        pause, refused = 0.25, ""
        while True:
            self._wait(self._closed_until - self._monotonic(), until, "Graph said to come back later.")
            token = self._tokens.token(instead_of=refused)
            try:
                said = self._wire.send(method, url, headers=_headers(token, prefer), body=body)
            except GraphUnavailable as error:
                self._observe(name, "silent")
                if not is_repeatable:
                    raise
                self._wait(pause, until, str(error))
                pause *= 2
                continue
            self._observe(name, str(said.status))
            if said.status in _AGAIN and (is_repeatable or said.status == 429):
                self._wait(self._told_to_wait(said, pause), until, f"Graph answered {said.status}.")
                pause *= 2
            elif said.status == 401 and not refused:
                refused = token
            else:
                return _read(said)

    def pages(self, name: str, target: str, *, patience: float, prefer: str = "") -> Iterator[dict[str, Any]]:
        """Every page from `target` on. GraphFault when one leads to another host, or there is no end; else as for `call`."""
        link: str | None = target
        for _ in range(_MOST_PAGES):
            page = self.call(name, "GET", link or "", patience=patience, prefer=prefer)
            if page is None:
                raise GraphFault("Graph does not know what it was asked for (404). See whether the groups of the mappings exist.")
            yield page
            given = page.get("@odata.nextLink")
            if given is None:
                return
            link = self.followed(given)
        raise GraphFault("Graph's pages have no end. Try again; tell Microsoft if that repeats.")

    def followed(self, link: object) -> str:
        """A link that Graph gave. GraphFault when it leads to another host: our token goes to nobody else."""
        if not isinstance(link, str) or not self.place.is_ours(link):
            raise GraphFault("Graph led to another host, which was not followed. Look at ISTHMUS_GRAPH_URL.")
        return link

    def close(self) -> None:
        """Give the connections back."""
        self._wire.close()

    def _url(self, target: str) -> str:
        url = f"{self.place.url}{target}" if target.startswith("/") else target
        return self.followed(url)

    def _told_to_wait(self, said: Said, pause: float) -> float:
        """Seconds that Graph wants us to wait, for everybody; never less than `pause`, so that patience ends whatever it says."""
        asked = said.retry_after()
        with self._lock:
            self._closed_until = max(self._closed_until, self._monotonic() + asked)
        return max(pause, asked)

    def _wait(self, seconds: float, until: float, why: str) -> None:
        if seconds <= 0:
            return
        if self._monotonic() + seconds > until:
            raise GraphUnavailable(f"{why} It may be asked again in {seconds:.0f} seconds.", retry_after=seconds)
        self._sleep(seconds)


def _headers(token: str, prefer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", **({"Prefer": prefer} if prefer else {})}


def _read(said: Said) -> dict[str, Any] | None:
    if said.status == 404:
        return None
    answer = said.object()
    if said.status in (200, 201) and answer:
        return answer
    if said.status in (202, 204):
        return {}
    error = answer.get("error")
    given = error.get("code") if isinstance(error, dict) else None
    code = given if isinstance(given, str) and _CODE.fullmatch(given) else ""
    what = f"{said.status} {code}".strip()
    if said.status == 410 or code in ("syncStateNotFound", "resyncRequired"):
        raise GraphGone(f"Graph no longer knows where we were ({what}).", code=code)
    if said.status == 401:
        raise GraphRefused(f"Graph does not take our token ({what}). Look at ISTHMUS_GRAPH_URL and at the application's state.", code=code)
    if said.status == 403:
        needed = "User.Read.All and GroupMember.Read.All (for sign-in logs AuditLog.Read.All)"
        told = f"Graph refuses the application ({what}). Give it {needed}, with an administrator's consent."
        raise GraphRefused(told, code=code)
    if said.status in _AGAIN or said.status >= 500:
        raise GraphUnavailable(f"Graph answered {what}. Try again later.")
    raise GraphFault(f"Graph did not understand or did not answer as documented ({what}).", code=code)
