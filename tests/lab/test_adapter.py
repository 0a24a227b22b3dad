"""Each hook point of the adapter against the installed ministack: fails by name when ministack changes one.

The points run in a child process, since ministack takes its settings from the environment when it is imported.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus_lab.environment import listen, scrubbed

pytestmark = pytest.mark.e2e

POINTS = Path(__file__).with_name("contract_points.py")
NAMES = [
    node.name.removeprefix("point_")
    for node in ast.parse(POINTS.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("point_")
]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    folder = tmp_path_factory.mktemp("contract")
    with listen(0) as listener:
        environment = scrubbed(os.environ, listener=listener, state_dir=folder)
    child = subprocess.run([sys.executable, POINTS, folder], env=environment, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    found: dict[str, str | None] = json.loads(child.stdout)
    return found


@pytest.mark.parametrize("point", NAMES)
def test_hook_point_is_as_the_adapter_expects(point: str, outcome: dict[str, str | None]) -> None:
    assert outcome[point] is None, outcome[point]


def test_another_version_is_refused(tmp_path: Path) -> None:
    code = (
        "import importlib.metadata, pathlib\nfrom isthmus_lab.adapter import adapter\n"
        "adapter.importlib.metadata.version = lambda name: '9.9'\n"
        "adapter.Adapter(endpoint='', state_dir=pathlib.Path('.'))"
    )
    with listen(0) as listener:
        environment = scrubbed(os.environ, listener=listener, state_dir=tmp_path)
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "Install ministack==" in child.stderr
