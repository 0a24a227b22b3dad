"""Which CA a client trusts for a server: the one that is named for Isthmus alone, and by its path the one of the last sign-in."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from isthmus.client.kept import file_of
from isthmus.client.private import write_private

VARIABLE, EVERYBODYS = "ISTHMUS_CA_FILE", "REQUESTS_CA_BUNDLE"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def named_ca(environ: Mapping[str, str]) -> Path | None:
    """The file that the environment names: Isthmus' own variable, else the one that many programs read."""
    found = environ.get(VARIABLE) or environ.get(EVERYBODYS)
    return Path(found).expanduser().absolute() if found else None


def remember_ca(environ: Mapping[str, str], url: str, ca: Path) -> None:
    """Keep the path for the server, so that programs without that variable find it: profiles, the agent."""
    write_private(_file(environ, url), str(ca))


def remembered_ca(environ: Mapping[str, str], url: str) -> Path | None:
    """The file of the last sign-in, where there is one still. What others could have written says nothing."""
    file = _file(environ, url)
    try:
        seen = file.lstat()
        if stat.S_IMODE(seen.st_mode) & 0o077 or seen.st_uid != os.geteuid() or not stat.S_ISREG(seen.st_mode):
            return None
        found = Path(file.read_text())
    except (OSError, ValueError):
        return None
    return found if found.is_file() else None


def is_for_isthmus_alone(bundle: Path, ca: Path | None) -> bool:
    """Whether a bundle is of use to Isthmus alone: it is the file `ca`, or holds certificates of Isthmus' own CAs and no others."""
    try:
        if ca is not None and bundle.samefile(ca):
            return True
        held = _CERTIFICATE.findall(bundle.read_bytes())
        return bool(held) and all(_is_own(one) for one in held)
    except (OSError, ValueError):
        return False


def _is_own(pem: bytes) -> bool:
    subject = x509.load_pem_x509_certificate(pem).subject
    return [one.value for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["Isthmus"]


def _file(environ: Mapping[str, str], url: str) -> Path:
    return file_of(environ, url).with_suffix(".ca")
