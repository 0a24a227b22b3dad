"""Signing keys and the local certificate authority: the only place that touches private key files.

They lie in the key folder (0700, files 0600), which is `<data>/keys` unless a setting says otherwise. Everybody else sees a `Signer`, so
that a key management service can replace the files.
"""

from isthmus.keys.authority import Expiry, LocalAuthority
from isthmus.keys.bundle import is_empty, remove_files, seal_folder, unseal_files, write_files
from isthmus.keys.operator import OPERATOR, operator_assertion, operator_signer
from isthmus.keys.ring import KeyRecord, KeyRing, Turn
from isthmus.keys.signer import Signer, compact

__all__ = [
    "OPERATOR",
    "Expiry",
    "KeyRecord",
    "KeyRing",
    "LocalAuthority",
    "Signer",
    "Turn",
    "compact",
    "is_empty",
    "operator_assertion",
    "operator_signer",
    "remove_files",
    "seal_folder",
    "unseal_files",
    "write_files",
]
