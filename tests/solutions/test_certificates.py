"""Certificates of directories as the solution shows them: when they come, while they stand, and what somebody should do."""

from __future__ import annotations

import pytest

from isthmus.arm.errors import ArmError
from isthmus.clouds.aws.metadata import distilled, read_metadata
from isthmus.clouds.contract import SigningCertificate
from isthmus.solutions.certificates import check_change, concerns, seconds_left, standing
from tests.support.metadata import certificate, metadata

NOW = 1_790_000_000
DAY = 86_400


def settings(*days: float) -> dict[str, str]:
    return {"federation": "saml", "samlMetadata": distilled(metadata(*(certificate(one, now=NOW) for one in days)))}


def held(wanted: dict[str, str]) -> list[SigningCertificate]:
    read = read_metadata(wanted["samlMetadata"]).certificates
    return [SigningCertificate(fingerprint=one.fingerprint, subject=one.subject, expires_at=one.expires_at) for one in read]


def test_what_stands_may_expire_without_hindering_other_changes() -> None:
    old = settings(5)
    check_change({}, old, NOW * 1000)
    check_change(old, {**old, "periodicSyncTime": "4"}, (NOW + 6 * DAY) * 1000)
    with pytest.raises(ArmError, match="expired") as caught:
        check_change({}, old, (NOW + 6 * DAY) * 1000)
    assert caught.value.code == "CertificateNotUsable"


@pytest.mark.parametrize(
    ("days", "told"), [(31, []), (29.5, ["warning"]), (7.5, ["warning"]), (6.5, ["failed"]), (0.5, ["failed"]), (-0.5, ["failed"])]
)
def test_warnings_begin_at_thirty_days_and_are_urgent_at_seven(days: float, told: list[str]) -> None:
    wanted = settings(days)
    shown = standing(wanted, held(wanted), NOW * 1000)
    assert [kind for kind, _ in concerns(shown, NOW * 1000)] == told
    assert seconds_left(shown, NOW * 1000) == pytest.approx(days * DAY, abs=1)


def test_template_and_account_are_told_apart() -> None:
    old, both = settings(100), settings(100, 400)
    assert standing({"federation": "broker"}, None, 0) is None
    assert standing({"federation": "oidc"}, None, 0) == {"mode": "oidc"}
    nobody_looked = standing(both, None, NOW * 1000)
    assert concerns(nobody_looked, NOW * 1000) == []
    waits = standing(both, held(both)[:1], NOW * 1000)
    assert [text for _, text in concerns(waits, NOW * 1000)] == [
        f"The account does not hold the certificate {held(both)[1].fingerprint[:16]} yet: update the stack."
    ]
    late = standing(old, [*held(old), *held(both)[1:]], NOW * 1000)
    assert ["retired" in text for _, text in concerns(late, NOW * 1000)] == [True]
    assert seconds_left({"mode": "oidc"}, NOW) is None
