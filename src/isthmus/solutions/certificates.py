"""Certificates with which a directory signs assertions: judged when they come, watched while they stand, by the rules of the lint of trust.

The account's administrator changes the provider with the stack; we have no right to. So what the template holds and what the account holds
are told apart, and both are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from isthmus.access.federation import ACCESS, FEDERATION, METADATA
from isthmus.arm.envelope import instant
from isthmus.arm.errors import ArmError, invalid
from isthmus.clouds.aws.metadata import read_metadata
from isthmus.clouds.aws.template.directories import SAML
from isthmus.clouds.aws.trustlint import judge
from isthmus.clouds.aws.trustlint.estate import Certificate, Estate, SamlProvider
from isthmus.clouds.contract import SigningCertificate

ACCESS_SOLUTIONS: Final = f"solution:%:{ACCESS}"
"""The unique keys of access solutions, as a LIKE pattern."""
SOON_DAYS, URGENT_DAYS = 30, 7
_DAY: Final = 86_400_000


def check_change(old: Mapping[str, str], new: Mapping[str, str], now: int) -> None:
    """Metadata that comes must be usable today. ArmError 400 `CertificateNotUsable` in the words of the lint; what stands already is left
    alone, so that other settings can be changed on the day a certificate expires. `now` in milliseconds."""
    text = new.get(METADATA, "")
    if not text or text == old.get(METADATA, ""):
        return
    known = {one.fingerprint for one in read_metadata(old[METADATA]).certificates} if old.get(METADATA) else set()
    fresh = tuple(one for one in read_metadata(text).certificates if one.fingerprint not in known)
    check_usable(fresh, now)


def check_usable(certificates: Sequence[Certificate], now: int) -> None:
    """ArmError 400 `CertificateNotUsable` where the lint calls one an error."""
    provider = SamlProvider(arn="", certificates=tuple(certificates))
    found = judge(Estate(account="", saml=(provider,)), now / 1000) if certificates else ()
    errors = [one for one in found if one.severity == "Error"]
    if errors:
        text = f"{errors[0].told} {errors[0].remedy}"
        raise invalid(text, target=f"properties.solutionSettings.{METADATA}", code="CertificateNotUsable")


def standing(settings: Mapping[str, str], held: Sequence[SigningCertificate] | None, now: int) -> dict[str, Any] | None:
    """What the solution shows of its federation; None for the broker. `held` is what the account's provider holds, None where nobody has
    looked yet."""
    mode = settings.get(FEDERATION, "")
    if mode in ("", "broker"):
        return None
    if mode != SAML:
        return {"mode": mode}
    ours = {one.fingerprint: one for one in read_metadata(settings[METADATA]).certificates}
    theirs = {one.fingerprint: one for one in held or ()}
    every = {
        **{key: (one.subject, one.expires_at) for key, one in theirs.items()},
        **{key: (one.subject, one.expires_at) for key, one in ours.items()},
    }
    rows = [
        {
            "fingerprint": key,
            "subject": subject,
            "expiresAt": instant(int(expires * 1000)),
            "inTemplate": key in ours,
            "inAccount": key in theirs if held is not None else None,
        }
        for key, (subject, expires) in sorted(every.items(), key=lambda one: (one[1][1], one[0]))
    ]
    return {"mode": mode, "readAt": instant(now) if held is not None else None, "certificates": rows}


def concerns(federation: Mapping[str, Any] | None, now: int) -> list[tuple[str, str]]:
    """What somebody should do about shown certificates: ("failed" or "warning", a sentence), the worst first."""
    found = []
    for one in (federation or {}).get("certificates") or ():
        left = _millis(one["expiresAt"]) - now
        day, days = one["expiresAt"][:10], max(0, left // _DAY)
        if left <= 0:
            found.append(("failed", f"The certificate of {one['subject']} expired on {day}."))
        elif left <= SOON_DAYS * _DAY:
            kind = "failed" if left <= URGENT_DAYS * _DAY else "warning"
            found.append((kind, f"The certificate of {one['subject']} expires on {day}, in {days} day{'' if days == 1 else 's'}."))
        if one["inAccount"] is False:
            found.append(("warning", f"The account does not hold the certificate {one['fingerprint'][:16]} yet: update the stack."))
        if one["inAccount"] and not one["inTemplate"]:
            found.append(("warning", f"The account still holds the retired certificate {one['fingerprint'][:16]}: update the stack."))
    return sorted(found, key=lambda one: one[0] != "failed")


def seconds_left(federation: Mapping[str, Any] | None, now: int) -> float | None:
    """Until the first shown certificate expires, negative afterwards; None without one."""
    ends = [_millis(one["expiresAt"]) for one in (federation or {}).get("certificates") or ()]
    return (min(ends) - now) / 1000 if ends else None


def refused(error: ValueError, name: str = METADATA) -> ArmError:
    """What is wrong with metadata, as the API says it."""
    return invalid(str(error), target=name, code="InvalidSamlMetadata")


def _millis(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
