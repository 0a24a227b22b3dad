"""`/metrics` says what the reference page says, and what is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from isthmus.metrics import METRICS, PROCESS
from isthmus.providers.resources import DELETE_GROUP
from tests.api.conftest import Api

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "isthmus.json"
SUFFIXES = ("_bucket", "_sum", "_count")


def samples(api: Api) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by name and label values."""
    answer = api.http.get("/metrics")
    assert answer.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            found.setdefault(one.name, {})[tuple(one.labels.values())] = one.value
    return found


def test_everything_that_is_shown_is_declared_with_its_labels(api: Api) -> None:
    api.call("GET", "/subscriptions")
    api.connector()
    allowed = {one.name for one in METRICS} | set(PROCESS)
    allowed |= {f"{one.name}{suffix}" for one in METRICS if one.kind == "histogram" for suffix in SUFFIXES}
    # Each counter and histogram also says when it began.
    allowed |= {f"{one.name.removesuffix('_total')}_created" for one in METRICS if one.kind in ("counter", "histogram")}
    declared = {one.name: one for one in METRICS}
    answer = api.http.get("/metrics").text
    for family in text_string_to_metric_families(answer):
        for one in family.samples:
            assert one.name in allowed
            if one.name in declared:
                assert set(one.labels) == set(declared[one.name].labels)
    assert "# HELP isthmus_connectors Connectors" in answer


def test_figures_of_the_installation_are_true(api: Api) -> None:
    api.connector()
    found = samples(api)
    assert found["isthmus_connectors"] == {(): 1.0}
    assert found["isthmus_projections"] == {(): 0.0}
    assert found["isthmus_audit_records"][()] >= 3
    assert found["isthmus_build_info"] == {next(iter(found["isthmus_build_info"])): 1.0}
    assert found["isthmus_database_connections"][("in_use",)] == 0
    assert {("api",), ("audit",), ("aws",)} == set(found["isthmus_signing_key_age_seconds"])
    assert found["isthmus_database_seconds_count"][()] > 10
    assert found["process_resident_memory_bytes"][()] > 10_000_000


def test_waiting_and_done_jobs_show(api: Api) -> None:
    poll = api.call("DELETE", api.group("doomed")).headers["location"]
    before = samples(api)
    assert before["isthmus_jobs"] == {("requests", "enqueued"): 1.0}
    assert 0 <= before["isthmus_oldest_job_seconds"][("requests",)] < 60
    assert before["isthmus_operations_running"] == {(): 1.0}
    assert api.finish(poll).status_code == 200
    after = samples(api)
    assert after["isthmus_job_attempts_total"][(DELETE_GROUP, "succeeded")] == 1
    assert after["isthmus_job_seconds_count"][(DELETE_GROUP,)] == 1


def test_refused_sign_ins_are_counted(api: Api) -> None:
    for _ in range(3):
        assert api.http.post("/sign-in", json={"code": "x" * 43}).status_code >= 400
    found = samples(api)["isthmus_refusals_total"]
    assert sum(found.values()) == 3
    assert {labels[0] for labels in found} == {"sign-in"}


def test_metrics_name_no_resource(api: Api) -> None:
    api.connector(account="999988887777", name="telling")
    text = api.http.get("/metrics").text
    assert "999988887777" not in text
    assert "telling" not in text


def panels(found: Any) -> list[str]:
    """Every expression of the dashboard."""
    return [target["expr"] for panel in found["panels"] for target in panel.get("targets", [])]


def test_the_dashboard_asks_for_declared_metrics_only() -> None:
    expressions = panels(json.loads(DASHBOARD.read_text()))
    named = {name for text in expressions for name in re.findall(r"\b(?:isthmus|process)_\w+", text)}
    kinds = {one.name: one.kind for one in METRICS} | dict.fromkeys(PROCESS, "process")
    for name in named:
        plain = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix) and name not in kinds), name)
        assert plain in kinds, name
        assert (plain != name) == (kinds[plain] == "histogram"), f"{name}: histograms are asked for by bucket, sum or count"
    labels = {one.name: set(one.labels) | {"instance", "job", "le"} for one in METRICS}
    for text in expressions:
        for group in re.findall(r"by \(([^)]*)\)", text):
            known = set().union(*(labels.get(re.sub(r"_(bucket|sum|count)$", "", name), {"instance"}) for name in named if name in text))
            assert {word.strip() for word in group.split(",")} <= known, text


@pytest.mark.parametrize("one", [one for one in METRICS if one.whole], ids=lambda one: one.name)
def test_figures_of_the_installation_are_not_summed_over_processes(one: Any) -> None:
    for text in panels(json.loads(DASHBOARD.read_text())):
        assert not re.search(rf"sum\b[^(]*\(\s*{one.name}\b", text), text
