"""Whom the doctor looks at: one installation, as its settings, environment and data folder describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from isthmus.client import Note, Place, read_note
from isthmus.doctor.probes import Probes, Reply, Silence
from isthmus.settings import Settings

ELSEWHERE = "The server is elsewhere; run 'isthmus doctor' where its data folder is."


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """`place` is the server that commands would talk to, None when none is known. `is_offline`: ask nothing outside this computer."""

    settings: Settings
    environ: Mapping[str, str]
    place: Place | None = None
    is_offline: bool = False
    probes: Probes = field(default_factory=Probes)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.settings.data_folder

    @property
    def keys(self) -> Path:
        """The key folder."""
        return self.data / "keys"

    @property
    def note(self) -> Note | None:
        """What the server that runs on this data folder has left, if one does."""
        return read_note(self.data)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the server is not the one of this data folder."""
        return self.place is not None and self.place.keys is None

    @property
    def aws_is_emulated(self) -> bool:
        """Whether the standard AWS settings lead elsewhere than to AWS."""
        ignored = self.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
        named = self.environ.get("AWS_ENDPOINT_URL") or self.environ.get("AWS_ENDPOINT_URL_STS")
        return bool(named) and not ignored

    def bundle(self, variable: str) -> Path | None:
        """The CA file that a variable names, where it names one."""
        value = self.environ.get(variable, "")
        return Path(value) if value else None


Asked = Reply | Silence | None
"""What came of asking somebody; None when nobody was asked."""
