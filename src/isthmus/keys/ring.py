"""A key ring per purpose: the next key is published before it signs, a retired one stays published until its last token has expired.

Files in `<data>/keys/<purpose>/`: `ring.json` (public: states, times, JWKs) and `<kid>.pem` for the next and the current key. The private
half of a retired key is deleted at the rotation; only its public half is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from isthmus.arm.errors import ArmError, conflict
from isthmus.keys.files import KeyFolder
from isthmus.keys.signer import RsaSigner, Signer, load_signer, make_signer

State = Literal["next", "current", "retired"]
_RING, _TURN = "ring.json", ".turn"
_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRecord:
    """What is public of one key. Times in milliseconds since 1970; `retires_at` is set for retired keys only."""

    kid: str
    purpose: str
    state: State
    public_jwk: Mapping[str, str]
    created_at: int
    retires_at: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Loaded:
    stamp: tuple[int, int, int]
    records: tuple[KeyRecord, ...]
    signer: RsaSigner


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The next change of keys: from which key to which, and since when (ms) the next one may sign."""

    current: KeyRecord
    following: KeyRecord
    ready_at: int


class KeyRing:
    """The keys of one purpose (`api` or `aws`). Opening it makes a current and a next key where there are none.

    `lead` and `keep` are seconds: how long a key must have been published before it signs, and how long its public half stays published
    after its last signature (at least the life of a token plus the time verifiers may cache). Several processes may share the folder: a
    change by one is seen by all at their next use, and those that may only read it never change it.
    """

    def __init__(self, folder: Path, purpose: str, *, clock: Callable[[], float], lead: float = _DAY, keep: float = _DAY + 3_600.0) -> None:
        KeyFolder(folder)
        self.purpose = purpose
        self._folder = KeyFolder(folder / purpose)
        self._clock = clock
        self._lead = lead
        self._keep = keep
        with self._folder.lock():
            if self._folder.read(_RING) is None:
                self._write((self._make("current"), self._make("next")))
            self._loaded: _Loaded | None = None
            self._loaded = self._load()
            if self.is_kept_here:
                self._sweep(self._loaded.records)

    @property
    def is_kept_here(self) -> bool:
        """Whether this process may change the ring; otherwise it reads what another one keeps."""
        return self._folder.is_writable

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._folder.path

    @property
    def current(self) -> str:
        """The `kid` of the key that signs."""
        return self._fresh().signer.kid

    @property
    def age(self) -> float:
        """Seconds since the key that signs was made."""
        return (self._now() - _of(self._fresh().records, "current").created_at) / 1000

    def due_in(self, after: float) -> float:
        """Seconds until the key that signs is `after` seconds old and the next one may sign; negative when that is over."""
        turn = self.turn()
        return (max(turn.current.created_at + after * 1000, turn.ready_at) - self._now()) / 1000

    @property
    def version(self) -> tuple[int, int, int]:
        """Changes whenever the ring changes, by whichever process; for caches of what `records` says."""
        return self._folder.stamp(_RING)

    def records(self) -> tuple[KeyRecord, ...]:
        """Every published key: next, current, and retired ones whose time is not over."""
        now = self._now()
        return tuple(record for record in self._fresh().records if record.retires_at is None or record.retires_at > now)

    def jwks(self) -> dict[str, Any]:
        """The JWK Set (RFC 7517 5) of `records`."""
        return {"keys": [dict(record.public_jwk) for record in self.records()]}

    def signer(self) -> Signer:
        """The current key."""
        return self._fresh().signer

    def next_signer(self) -> Signer:
        """The next key, to find out whether verifiers know it already. Nothing else is to be signed with it before its turn."""
        with self._folder.lock():
            return self._open(_of(self._load().records, "next").kid)

    def turn(self) -> Turn:
        """Which change comes next."""
        records = self._fresh().records
        following = _of(records, "next")
        return Turn(current=_of(records, "current"), following=following, ready_at=following.created_at + int(self._lead * 1000))

    @property
    def keep(self) -> float:
        """Seconds for which a retired key stays published."""
        return self._keep

    @contextmanager
    def held(self) -> Iterator[None]:
        """One change of keys at a time, by whichever process; ArmError 409 `RotationRunning` for a second one."""
        with self._folder.try_lock(_TURN) as is_mine:
            if not is_mine:
                message = f"The keys of '{self.purpose}' are being rotated at this moment. Wait for its end, and look what came of it."
                raise conflict(message, target=self.purpose, code="RotationRunning")
            yield

    def is_due(self, *, after: float) -> bool:
        """Whether the current key is older than `after` seconds and the next one may sign."""
        return self._is_due(self._fresh().records, after)

    def rotate(self, *, lead: float | None = None, expected: str = "") -> KeyRecord:
        """Let the next key sign, retire the current one, and publish a new next key; the new current key.

        ArmError 409 `NextKeyTooYoung` when verifiers may not have seen the next key yet; `lead` shortens how long that takes, for who has
        seen that they do. ArmError 409 `KeysChanged` when the next key is not the `expected` one (its kid).
        """
        with self._folder.lock():
            self.require_turn(expected=expected, lead=lead)
            return self._rotate(self._load().records)

    def require_turn(self, *, expected: str = "", lead: float | None = None) -> None:
        """Raises what `rotate` would, and changes nothing."""
        records, now = self._load().records, self._now()
        following = _of(records, "next")
        if expected and following.kid != expected:
            message = f"The keys of '{self.purpose}' were changed by somebody else in the meantime. Look again: isthmus issuer drill --plan"
            raise conflict(message, target=expected, code="KeysChanged")
        ready = following.created_at + int((self._lead if lead is None else lead) * 1000)
        if ready > now:
            raise conflict(
                f"The next key of '{self.purpose}' is published for too short a time: verifiers may not know it yet. "
                f"Repeat in {(ready - now) // 1000 + 1} s, or replace all keys if one is compromised.",
                target=following.kid,
                code="NextKeyTooYoung",
            )

    def rotate_if_due(self, *, after: float) -> KeyRecord | None:
        """Rotate when `is_due`, decided while the folder is held, so that of several processes one rotates; None when nothing was done.

        A process that may only read leaves it to those that may write.
        """
        if not self.is_kept_here:
            return None
        with self._folder.lock():
            records = self._load().records
            return self._rotate(records) if self._is_due(records, after) else None

    def _is_due(self, records: tuple[KeyRecord, ...], after: float) -> bool:
        now = self._now()
        born = {record.state: record.created_at for record in records}
        return now - born["current"] >= after * 1000 and now - born["next"] >= self._lead * 1000

    def _rotate(self, records: tuple[KeyRecord, ...]) -> KeyRecord:
        now = self._now()
        following = _of(records, "next")
        promoted = replace(following, state="current")
        retired = replace(_of(records, "current"), state="retired", retires_at=now + int(self._keep * 1000))
        earlier = (record for record in records if record.retires_at is not None and record.retires_at > now)
        self._change((promoted, self._make("next"), retired, *earlier))
        return promoted

    def replace_all(self) -> KeyRecord:
        """For a leak: new keys at once, and none of the old ones is published any more, so that whatever they signed is refused.

        Both private halves lay in one folder, therefore the next key goes too. Returns the new current key.
        """
        with self._folder.lock():
            current = self._make("current")
            self._change((current, self._make("next")))
            return current

    def _change(self, records: tuple[KeyRecord, ...]) -> None:
        self._write(records)
        self._loaded = self._load()
        self._sweep(records)

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _make(self, state: State) -> KeyRecord:
        signer = make_signer()
        self._folder.write(f"{signer.kid}.pem", signer.private_pem())
        return KeyRecord(kid=signer.kid, purpose=self.purpose, state=state, public_jwk=signer.public_jwk, created_at=self._now())

    def _write(self, records: tuple[KeyRecord, ...]) -> None:
        rows = [
            {
                "kid": row.kid,
                "state": row.state,
                "createdAt": row.created_at,
                "retiresAt": row.retires_at,
                "publicJwk": dict(row.public_jwk),
            }
            for row in records
        ]
        self._folder.write(_RING, json.dumps({"keys": rows}, indent=1).encode())

    def _fresh(self) -> _Loaded:
        loaded = self._loaded
        if loaded is None or loaded.stamp != self.version:
            with self._folder.lock():
                self._loaded = loaded = self._load()
        return loaded

    def _load(self) -> _Loaded:
        stamp = self.version
        rows = json.loads(self._folder.read(_RING) or b'{"keys": []}')["keys"]
        records = tuple(
            KeyRecord(
                kid=row["kid"],
                purpose=self.purpose,
                state=row["state"],
                public_jwk=row["publicJwk"],
                created_at=row["createdAt"],
                retires_at=row["retiresAt"],
            )
            for row in rows
        )
        kid = _of(records, "current").kid
        known = self._loaded is not None and self._loaded.signer.kid == kid
        return _Loaded(stamp=stamp, records=records, signer=self._loaded.signer if self._loaded and known else self._open(kid))

    def _open(self, kid: str) -> RsaSigner:
        name = f"{kid}.pem"
        pem = self._folder.read(name)
        signer = load_signer(pem, str(self._folder.path / name)) if pem is not None else None
        if signer is None or signer.kid != kid:
            raise ArmError(
                "UnreadableKeyFile",
                f"A key of '{self.purpose}' that signs is missing or is another key: '{self._folder.path / name}'. "
                f"Restore it from a backup, or delete the folder '{self._folder.path}' to have new keys made; "
                "tokens signed until now are refused then.",
                status=500,
                target=kid,
            )
        return signer

    def _sweep(self, records: tuple[KeyRecord, ...]) -> None:
        """Delete private halves that no state needs, and what a crash left behind."""
        needed = {_RING, _TURN, *(f"{record.kid}.pem" for record in records if record.state != "retired")}
        for name in self._folder.names():
            if name not in needed:
                self._folder.remove(name)


def _of(records: tuple[KeyRecord, ...], state: State) -> KeyRecord:
    """The one key of this state; there may be several retired ones."""
    return next(record for record in records if record.state == state)
