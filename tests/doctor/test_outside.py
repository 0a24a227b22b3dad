"""What lies outside: the published issuer, AWS, clocks, Azure clients. Each check, well and not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from isthmus.doctor import Finding, Result, aws, azure, clock, issuer
from isthmus.doctor.patient import Asked
from isthmus.doctor.probes import Reply, Silence
from tests.doctor.conftest import ISSUER, World, answer

Look = Callable[[Callable[..., Any]], dict[str, list[Finding]]]
OK, WARNING, FAILED, NOT_CHECKED = Result.OK, Result.WARNING, Result.FAILED, Result.NOT_CHECKED
DOCUMENT, KEYS = f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/.well-known/jwks.json"
STS = "https://sts.us-east-1.amazonaws.com/"


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("http://issuer.acme.com", FAILED),
        ("https://issuer.acme.com:8443", FAILED),
        ("https://issuer.acme.com/", FAILED),
        ("https://Issuer.acme.com", FAILED),
        ("https://issuer.acme.com?x=y", FAILED),
        ("https://[", FAILED),
        ("nonsense", FAILED),
        ("https://issuer.acme.test", WARNING),
        ("https://issuer.local", WARNING),
        ("https://nowhere.acme.com", FAILED),
        (ISSUER, OK),
    ],
)
def test_the_issuers_url(world: World, look: Look, url: str, result: Result) -> None:
    world.settings = {"issuer_url": url}
    found = look(issuer.examine)
    assert found["issuer URL"][0].result is result
    assert (found["issuer keys"][0].result is OK) is (result is OK)


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (Silence(why="certificate", detail="self-signed"), "not trusted"),
        (Silence(why="timeout", detail="too slow"), "does not answer"),
        (answer({}, status=404), "answers 404"),
        (answer("<html>"), "without a JSON document"),
        (answer([]), "without a JSON document"),
        (answer({"issuer": f"{ISSUER}/other"}), "another issuer"),
    ],
)
def test_the_issuers_document(world: World, look: Look, said: Reply | Silence, detail: str) -> None:
    assert look(issuer.examine)["issuer document"][0].result is OK
    world.answers[DOCUMENT] = said
    found = look(issuer.examine)
    assert (found["issuer document"][0].result, detail in found["issuer document"][0].detail) == (FAILED, True)
    assert found["issuer document"][0].remedy
    assert found["issuer keys"][0].result is NOT_CHECKED


def published(world: World) -> list[dict[str, Any]]:
    """The keys that are shown: first the one that signs now, then the next."""
    reply = world.answers[KEYS]
    assert isinstance(reply, Reply)
    keys: list[dict[str, Any]] = json.loads(reply.body)["keys"]
    return keys


def test_the_issuers_keys_are_ours(world: World, look: Look) -> None:
    current, following = published(world)
    cases: Mapping[Result, Sequence[object]] = {
        OK: ([current, following], [following, current, {"kid": "retired"}]),
        WARNING: ([current],),
        FAILED: ([following], [], [{**current, "n": following["n"]}, following], "none", None),
    }
    for result, shown in cases.items():
        for keys in shown:
            world.answers[KEYS] = answer({"keys": keys})
            (found,) = look(issuer.examine)["issuer keys"]
            assert (found.result, "issuer export" in found.remedy) == (result, result is not OK), keys
    world.answers[KEYS] = answer("x", status=500)
    assert look(issuer.examine)["issuer keys"][0].result is FAILED
    world.answers[DOCUMENT] = answer({"issuer": ISSUER, "jwks_uri": "http://issuer.acme.com/keys"})
    assert look(issuer.examine)["issuer keys"][0].result is FAILED


def test_an_emulated_aws_knows_the_issuer_by_itself(world: World, look: Look) -> None:
    world.environ = {"AWS_ENDPOINT_URL": "https://127.0.0.1:9"}
    found = look(issuer.examine)
    assert {one.result for findings in found.values() for one in findings} == {NOT_CHECKED}
    world.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    assert look(issuer.examine)["issuer URL"][0].result is OK


def test_without_keys_here_there_is_nothing_to_compare_with(world: World, look: Look) -> None:
    (world.data / "keys" / "aws" / "ring.json").unlink()
    assert look(issuer.examine)["issuer keys"][0].result is NOT_CHECKED


def both(patient: Any) -> Any:
    return aws.examine(patient, aws.ask(patient))


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("AWS_ENDPOINT_URL", "ftp://aws", FAILED),
        ("AWS_ENDPOINT_URL", "http://aws.acme.com", FAILED),
        ("AWS_ENDPOINT_URL_SQS", "nonsense", FAILED),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem", FAILED),
        ("AWS_ENDPOINT_URL", "https://aws.acme.com", OK),
        ("OTHER", "x", OK),
    ],
)
def test_aws_settings_can_be_right(world: World, look: Look, name: str, value: str, result: Result) -> None:
    world.environ = {name: value}
    found = look(both)
    assert found["AWS settings"][0].result is result
    assert (found["AWS STS"][0].result is NOT_CHECKED) is (result is FAILED)


def test_the_bundle_for_aws_is_the_only_trust(world: World, look: Look, tmp_path: Path) -> None:
    bundle = tmp_path / "aws.pem"
    bundle.write_text("no certificate")
    world.environ = {"AWS_CA_BUNDLE": str(bundle)}
    assert look(both)["AWS settings"][0].result is FAILED
    bundle.write_bytes((world.data / "keys" / "ca.pem").read_bytes())
    assert look(both)["AWS settings"][0].result is OK
    assert world.asked == [(STS, bundle)]


@pytest.mark.parametrize(
    ("said", "result", "remedy"),
    [
        (answer("", status=302), OK, ""),
        (answer("", status=403), OK, ""),
        (Silence(why="name", detail="no such name"), FAILED, "DNS"),
        (Silence(why="certificate", detail="broken open"), FAILED, "AWS_CA_BUNDLE"),
    ],
)
def test_sts_is_reached(world: World, look: Look, said: Reply | Silence, result: Result, remedy: str) -> None:
    world.answers[STS] = said
    (found,) = look(both)["AWS STS"]
    assert (found.result, remedy in found.remedy) == (result, True)


@pytest.mark.parametrize(("environ", "result"), [({}, OK), ({"https_proxy": "http://proxy:3128"}, WARNING)])
def test_proxies_are_not_used_for_aws(world: World, look: Look, environ: dict[str, str], result: Result) -> None:
    world.environ = environ
    assert look(both)["proxies"][0].result is result


@pytest.mark.parametrize(
    ("asked", "result"),
    [
        (answer(""), OK),
        (answer("", ahead=30), OK),
        (answer("", ahead=120), WARNING),
        (answer("", ahead=-120), WARNING),
        (answer("", ahead=400), FAILED),
        (answer("", ahead=-400), FAILED),
        (Reply(status=200), NOT_CHECKED),
        (Reply(status=200, headers={"date": "yesterday"}), NOT_CHECKED),
        (Silence(why="timeout", detail="x"), NOT_CHECKED),
        (None, NOT_CHECKED),
    ],
)
def test_the_clock_is_held_against_others(asked: Asked, result: Result) -> None:
    (found,) = clock.examine({"AWS": asked})
    assert (found.result, found.check, "NTP" in found.remedy) == (result, "clock against AWS", result in (WARNING, FAILED))


def test_a_slow_answer_does_not_make_the_clock_wrong() -> None:
    slow = answer("")
    (found,) = clock.examine({"AWS": Reply(status=200, headers=slow.headers, asked=slow.asked - 90, came=slow.came + 90)})
    assert found.result is OK


def test_azure_clients_trust_the_servers_ca(world: World, look: Look, tmp_path: Path) -> None:
    ours = world.data / "keys" / "ca.pem"
    world.patient()
    assert look(azure.examine)["CA for Azure clients"][0].result is NOT_CHECKED
    world.probes = {"find_program": lambda _name: "az"}
    assert look(azure.examine)["CA for Azure clients"][0].result is WARNING
    world.environ = {"REQUESTS_CA_BUNDLE": str(ours)}
    assert look(azure.examine)["CA for Azure clients"][0].result is OK
    bundle = tmp_path / "bundle.pem"
    world.environ = {"REQUESTS_CA_BUNDLE": str(bundle)}
    assert look(azure.examine)["CA for Azure clients"][0].result is FAILED
    bundle.write_text("-----BEGIN CERTIFICATE-----\nxxxx\n-----END CERTIFICATE-----\n")
    (found,) = look(azure.examine)["CA for Azure clients"]
    assert (found.result, str(ours) in found.remedy, "Append" in found.remedy) == (WARNING, True, False)
    bundle.write_bytes(bundle.read_bytes() + ours.read_bytes())
    assert look(azure.examine)["CA for Azure clients"][0].result is OK


@pytest.mark.parametrize(
    ("printed", "result"),
    [('{"azure-cli": "2.91.0"}', OK), ('{"azure-cli": "2.9.1"}', WARNING), ("", WARNING), ("[]", WARNING), ('{"azure-cli": "x"}', WARNING)],
)
def test_azure_cli_says_its_version_and_writes_nothing_of_the_users(world: World, look: Look, printed: str, result: Result) -> None:
    seen: list[tuple[Sequence[str], Mapping[str, str]]] = []

    def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
        seen.append((command, environ))
        return printed

    world.probes = {"find_program": lambda _name: "az", "run": run}
    assert look(azure.examine)["azure-cli"][0].result is result
    ((command, environ),) = seen
    assert command == ("az", "version", "--output", "json")
    assert not Path(environ["AZURE_CONFIG_DIR"]).exists()
    world.probes = {}
    assert look(azure.examine)["azure-cli"][0].result is NOT_CHECKED
