"""The lab as a process: ports, ends, environment, reset."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from isthmus_lab.environment import is_scrubbed, listen, scrubbed
from isthmus_lab.process import LabFailedError, LabProcess
from tests.support.waiting import LOADED

pytestmark = pytest.mark.e2e

HOSTILE = {
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_PROFILE": "prod",
    "AWS_SESSION_TOKEN": "t",
    "PATH": os.environ["PATH"],
}


def test_nothing_of_the_host_s_aws_settings_passes(tmp_path: Path) -> None:
    with listen(0) as listener:
        environment = scrubbed(HOSTILE, listener=listener, state_dir=tmp_path)
    assert is_scrubbed(environment)
    assert {name for name in environment if name.startswith("AWS_")} == {"AWS_SECRET_ACCESS_KEY"}
    assert environment["AWS_SECRET_ACCESS_KEY"] != "real"
    assert not is_scrubbed({**environment, "AWS_ACCESS_KEY_ID": "AKIAREAL"})


def test_lab_lives_and_ends_cleanly_and_reset_forgets(tmp_path: Path) -> None:
    with LabProcess(tmp_path, port=0, environ=HOSTILE) as lab:
        sqs = boto3.client("sqs", **lab.client_arguments("111111111111", "us-east-1"))
        sqs.create_queue(QueueName="q")
        stranger = boto3.client(
            "sqs", endpoint_url=lab.url, region_name="us-east-1", aws_access_key_id="AKIAREAL", aws_secret_access_key="real"
        )
        with pytest.raises(ClientError):
            stranger.list_queues()
        lab.admin("POST", "/_lab/reset")
        assert not sqs.list_queues().get("QueueUrls")
        pid = lab.pid
        assert lab.is_running
    assert not lab.is_running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert "Traceback" not in lab.log_path.read_text()


def test_taken_port_is_replaced_or_refused() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert other.getsockname()[1] != port
        with pytest.raises(OSError, match="in use"):
            listen(port, exact=True)


def test_many_that_start_at_once_have_a_port_each() -> None:
    """What counts is who listens: a port that was free a moment ago may be another lab's now."""
    with ExitStack() as opened:
        ports = [opened.enter_context(listen(wanted)).getsockname()[1] for wanted in [0] * 50 + [4566] * 3]
        assert len(set(ports)) == len(ports)


def test_command_prints_one_line_and_ends_on_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "isthmus_lab", "--port", "0", "--state-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        assert ready["pid"] == child.pid
        assert ready["url"].startswith("http://127.0.0.1:")
        child.send_signal(signal.SIGINT)
        rest, errors = child.communicate(timeout=10 * LOADED)
    assert (child.returncode, rest) == (0, "")
    assert "Traceback" not in errors


def test_failed_start_says_why(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    child = subprocess.run(
        [sys.executable, "-m", "isthmus_lab.server"], env=environment, capture_output=True, text=True, timeout=20 * LOADED
    )
    assert child.returncode != 0
    assert "python -m isthmus_lab" in child.stderr
    lab = LabProcess(tmp_path, port=0)
    with pytest.raises(LabFailedError, match=r"lab\.log"):
        lab.start(timeout=0.01)
    assert not lab.is_running


def test_a_start_that_is_interrupted_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def interrupt(_lab: LabProcess, child: subprocess.Popen[bytes], _timeout: float) -> bytes:
        begun.append(child)
        raise KeyboardInterrupt

    monkeypatch.setattr(LabProcess, "_ready_line", interrupt)
    lab = LabProcess(tmp_path, port=0)
    with pytest.raises(KeyboardInterrupt):
        lab.start()
    assert not lab.is_running
    assert begun[0].poll() is not None
