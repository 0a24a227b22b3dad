"""Credentials of this computer's person, kept in memory and renewed ahead of the end of their lease.

A lease is shorter than what AWS' SDKs expect (they refresh anything with less than fifteen minutes left at every request), so whoever asks
is answered from here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from isthmus.arm.errors import ArmError

AHEAD: Final = 60.0
"""Seconds before the end of a lease from which the next one is fetched, while the present one still answers."""
LEAST: Final = 10.0
"""Seconds that credentials must still be good for to be handed out."""
LOOK: Final = 5.0
"""Seconds after which the server is asked once more whether a session that is being used still stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What a role's credentials are, with their end (ISO 8601, and seconds since 1970)."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: str
    until: float

    @classmethod
    def of(cls, body: dict[str, Any]) -> Credentials:
        """From what the API answers."""
        return cls(
            access_key=body["accessKeyId"],
            secret_key=body["secretAccessKey"],
            session_token=body["sessionToken"],
            expiration=body["expiration"],
            until=datetime.fromisoformat(body["expiration"]).timestamp(),
        )


class Cache:
    """Credentials by role. `fetch` asks the server and raises ArmError; each role is fetched once at a time, however many ask.

    `is_live` asks whether a session still stands: where so many people were denied at once that an account denies every earlier session,
    the next one is begun within seconds instead of at the end of the lease. It may raise ArmError; who does not answer ends nothing.
    `sign_in` names the sign-in that holds now. What was fetched, or is being fetched, by another one is nobody's any more.
    """

    def __init__(
        self,
        fetch: Callable[[str], Credentials],
        clock: Callable[[], float],
        *,
        is_live: Callable[[Credentials], bool] = lambda _: True,
        sign_in: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._fetch = fetch
        self._is_live = is_live
        self._sign_in = sign_in
        self._by = 0.0
        self._looked: dict[str, float] = {}
        self._clock = clock
        self._held: dict[str, Credentials] = {}
        self._flights: dict[str, Future[Credentials]] = {}
        self._lock = threading.Lock()

    def get(self, role: str) -> Credentials:
        """Credentials that are good for some seconds at least. A refusal of the server ends what is held: it is not handed out again."""
        by = self._sign_in()
        with self._lock:
            if by != self._by:
                self._by = by
                self._held.clear()
                self._flights.clear()
            held = self._held.get(role)
            left = held.until - self._clock() if held else 0.0
            flight = self._flights.get(role)
            begins = flight is None and left < AHEAD
            if begins:
                flight = self._flights[role] = Future()
            looks = not begins and held is not None and self._clock() - self._looked.get(role, 0.0) >= LOOK
            if begins or looks:
                self._looked[role] = self._clock()
        if looks:
            threading.Thread(target=self._look, args=(role, held), name="isthmus-look", daemon=True).start()
        if begins:
            assert flight is not None
            if left < LEAST:
                self._fly(role, flight)
            else:
                threading.Thread(target=self._fly, args=(role, flight), name="isthmus-renewal", daemon=True).start()
        if held is not None and left >= LEAST:
            return held
        assert flight is not None
        return flight.result()

    def _look(self, role: str, held: Credentials) -> None:
        """Forget a session that has ended; the next who asks begins another one, or is told why not."""
        try:
            is_live = self._is_live(held)
        except ArmError as error:
            is_live = error.status not in (401, 403, 404)
        with self._lock:
            if not is_live and self._held.get(role) is held:
                del self._held[role]

    def _fly(self, role: str, flight: Future[Credentials]) -> None:
        """Fetch for everybody who waits for the flight; whatever happens, nobody waits for ever."""
        made: Credentials | None = None
        try:
            made = self._fetch(role)
        except ArmError as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                if self._flights.get(role) is flight:
                    self._held.pop(role, None)
                    if made is not None:
                        self._held[role] = made
                    del self._flights[role]
            if made is not None:
                flight.set_result(made)
            flight.cancel()
