"""SSH keys that EC2 Instance Connect put on machines, while they let somebody in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pushed:
    user: str
    key: str
    until: float


class PushedKeys:
    """The keys of all machines; each is good for KEY_SECONDS."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._keys: dict[str, list[_Pushed]] = {}

    def push(self, instance_id: str, user: str, key: str) -> None:
        """Put a key on a machine for a user of it."""
        self._keys[instance_id] = [*self._alive(instance_id), _Pushed(user=user, key=key.strip(), until=self._clock() + KEY_SECONDS)]

    def facts(self, instance_id: str) -> dict[str, Any]:
        """What a machine's record shows: the keys that let a user in now, and until when (epoch seconds)."""
        return {"sshKeys": [{"user": one.user, "key": one.key, "until": one.until} for one in self._alive(instance_id)]}

    def clear(self) -> None:
        """Forget all keys."""
        self._keys.clear()

    def _alive(self, instance_id: str) -> list[_Pushed]:
        now = self._clock()
        return [one for one in self._keys.get(instance_id, []) if one.until > now]
