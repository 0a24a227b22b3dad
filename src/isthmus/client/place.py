"""Where a server is: named by URL, or found by the note that `isthmus serve` leaves in its data folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from isthmus.arm.errors import ArmError
from isthmus.client.trust import EVERYBODYS, VARIABLE, remembered_ca

_NOTE = "server.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A server. `ca` are files with CA certificates to trust, `keys` the key folder of this very server if its data folder is here.

    `issuer` is the URL under which AWS knows its issuer, `subscription` the default one; both empty when unknown.
    """

    url: str
    ca: tuple[Path, ...] = ()
    keys: Path | None = None
    issuer: str = ""
    subscription: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What `<data>/server.json` says about the server that runs on a data folder. Nothing in it is secret; old ones have no version.

    `keys` is the path of its key folder; empty for the one in the data folder.
    """

    url: str
    pid: int
    ca: str
    issuer: str
    subscription: str
    keys: str = ""
    version: str = ""

    def write(self, data: Path) -> None:
        """Leave the note, replacing an older one."""
        partial = data / f"{_NOTE}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n")
        partial.replace(data / _NOTE)


def remove_note(data: Path, pid: int) -> None:
    """Take the note of a server that has ended away; another server's note stays."""
    present = read_note(data)
    if present is not None and present.pid == pid:
        (data / _NOTE).unlink(missing_ok=True)


def read_note(data: Path) -> Note | None:
    """The note of a data folder, None when there is none that can be read."""
    try:
        found = json.loads((data / _NOTE).read_text())
        texts = {name: str(found[name]) for name in ("url", "ca", "issuer", "subscription")}
        return Note(pid=int(found["pid"]), keys=str(found.get("keys") or ""), version=str(found.get("version") or ""), **texts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_server(data: Path, url: str, environ: Mapping[str, str]) -> Place:
    """The server at `url`, or the one of the data folder when `url` is empty; ArmError `NoServer` when neither is known.

    The operator's key is offered only to the server that left its note in the same folder. CAs: ISTHMUS_CA_FILE alone where it is set, else
    REQUESTS_CA_BUNDLE and the one that the last sign-in was made with.
    """
    note = read_note(data)
    url = url.rstrip("/")
    named = tuple(Path(file).expanduser() for file in [environ.get(VARIABLE) or environ.get(EVERYBODYS, "")] if file)
    if note is not None and url in ("", note.url):
        keys = Path(note.keys) if note.keys else data / "keys"
        return Place(url=note.url, ca=(Path(note.ca), *named), keys=keys, issuer=note.issuer, subscription=note.subscription)
    if not url:
        raise ArmError(
            "NoServer",
            f"No server is running on the data folder '{data}'. Start one with 'isthmus serve', name its folder with --data, "
            "or name a server elsewhere with --url.",
            status=503,
            target=str(data),
        )
    local = data / "keys" / "ca.pem"
    known = [] if environ.get(VARIABLE) else [found for found in [remembered_ca(environ, url)] if found is not None and found not in named]
    return Place(url=url, ca=(*named, *known, *([local] if local.is_file() else [])))
