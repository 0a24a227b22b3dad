"""All 35 cases of Entra's provisioning, with its flag behind the tenant URL and without."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api
from tests.api.entra import CASES, FLAG, filled
from tests.api.provisioner import Directory


@pytest.mark.parametrize("flag", ["", FLAG], ids=["plain", "flagged"])
def test_entra_is_understood(api: Api, flag: str) -> None:
    """Each case is asked in turn; every one that fails is named."""
    directory, known, failed = Directory(api), dict[str, str](), list[str]()

    def addressed(path: str) -> str:
        return path + (f"{'&' if '?' in path else '?'}{flag}" if flag else "")

    for case in CASES:
        path, body = filled(case.path, known), filled(case.body, known)
        answer = directory.send(case.method, addressed(path), body, token=case.token)
        name = f"{case.number} {case.what}"
        if answer.status_code != case.status:
            failed.append(f"{name}: {answer.status_code} {answer.text[:300]}")
            continue
        if case.keep:
            known[case.keep] = answer.json()["id"]
        if not case.holds(answer):
            failed.append(f"{name}: {answer.text[:500]}")
        if case.at:
            now = directory.send("GET", addressed(filled(case.at, known))).json()
            if not case.then(now):
                failed.append(f"{name}: then {now}")
    assert [case.number for case in CASES] == list(range(1, 36))
    assert not failed, "\n".join(failed)
