"""The operator key: whoever owns the data folder signs in with it (private_key_jwt), and nothing else has to be stored."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from isthmus.arm.errors import ArmError
from isthmus.keys.files import KeyFolder
from isthmus.keys.signer import RsaSigner, compact, load_signer, make_signer

OPERATOR = "operator"
_FILE = "operator.pem"
_LIFETIME = 300


def operator_signer(folder: Path) -> RsaSigner:
    """The operator's key in `<data>/keys`, made at first start. Its `public_pem` is registered as the client `operator`."""
    keys = KeyFolder(folder)
    with keys.lock():
        pem = keys.read(_FILE)
        if pem is None:
            signer = make_signer()
            keys.write(_FILE, signer.private_pem())
            return signer
    return load_signer(pem, str(folder / _FILE))


def operator_assertion(folder: Path, *, audience: str, clock: Callable[[], float]) -> str:
    """A client assertion of the operator (RFC 7523) for the token endpoint `audience`: 5 minutes, usable once.

    For the owner of the data folder on this computer; ArmError `NoOperatorKey` when the folder holds none (the program never started here).
    """
    pem = KeyFolder(folder).read(_FILE) if folder.is_dir() else None
    if pem is None:
        message = f"There is no operator key in '{folder}'. Start the program once on this data folder, or name another data folder."
        raise ArmError("NoOperatorKey", message, status=404, target=str(folder))
    now = int(clock())
    claims = {"iss": OPERATOR, "sub": OPERATOR, "aud": audience, "iat": now, "exp": now + _LIFETIME, "jti": secrets.token_urlsafe(16)}
    return compact(load_signer(pem, str(folder / _FILE)), claims)
