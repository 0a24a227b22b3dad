"""What Run Command asks of a machine, and how a script is run there: as the SSM agent does, with real processes and exit codes."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus_lab.machines.nursery import Child, Nursery
from isthmus_lab.machines.platforms import platform_of
from isthmus_lab.world import Instance

STDOUT, STDERR = 24_000, 8_000
"""Characters of output that GetCommandInvocation keeps."""
STOPPED = 137
"""Exit code that the SSM agent reports for a script it killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """One shell step of a command for one machine. `timeout` in seconds; `environ` is added to what the SSM agent always sets."""

    instance: Instance
    command_id: str
    step: str
    lines: Sequence[str]
    timeout: float
    environ: Mapping[str, str]
    working_directory: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a script ended. `lost`: the machine is gone and nothing will ever be heard of the script."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool = False
    lost: bool = False


async def run(nursery: Nursery, root: Path, script: Script, children: set[Child]) -> Outcome:
    """Run the script in the machine's root and wait for its end; its process group is killed at the time limit or on cancellation.

    The script and its output stay in the orchestration folder, as the SSM agent keeps them for two weeks. `children` holds the running
    processes of the machine while they run.
    """
    folder = _orchestration(root, script)
    path, stdout, stderr = folder / "_script.sh", folder / "stdout", folder / "stderr"
    text = "\n".join(script.lines) + "\n"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
    where = Path(script.working_directory) if script.working_directory else root
    child = await nursery.execute([*_interpreter(text), str(path)], _environ(root, script), folder=where, stdout=stdout, stderr=stderr)
    children.add(child)
    timed_out = False
    try:
        code = await asyncio.wait_for(child.wait(), script.timeout)
    except TimeoutError:
        child.signal(signal.SIGKILL)
        await child.wait()
        code, timed_out = STOPPED, True
    except asyncio.CancelledError:
        child.signal(signal.SIGKILL)
        raise
    finally:
        children.discard(child)
    problem = "" if code == 0 else f"failed to run commands: exit status {code}"
    return Outcome(exit_code=code, stdout=_read(stdout, STDOUT), stderr=_read(stderr, STDERR) + problem, timed_out=timed_out)


def _orchestration(root: Path, script: Script) -> Path:
    step = script.step.replace(":", "").replace("/", "_")
    folder = root / "var/lib/amazon/ssm" / script.instance.instance_id / "document/orchestration" / script.command_id / step
    folder.mkdir(mode=0o700, parents=True)
    return folder


def _interpreter(text: str) -> list[str]:
    """The shebang's interpreter; `sh` without one, like the real agent, so scripts that need bash must say so."""
    first = text.split("\n", 1)[0]
    return shlex.split(first[2:]) if first.startswith("#!") and first[2:].strip() else ["/bin/sh"]


def _environ(root: Path, script: Script) -> dict[str, str]:
    instance = script.instance
    platform = platform_of(instance.image_id, instance.platform)
    return {
        **script.environ,
        "PATH": f"{root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"{root}/root",
        "ISTHMUS_AGENT_ROOT": str(root),
        "TMPDIR": str(root / "tmp"),
        "LANG": "C.UTF-8",
        "AWS_SSM_INSTANCE_ID": instance.instance_id,
        "AWS_SSM_REGION_NAME": instance.region,
        "AWS_SSM_PLATFORM_NAME": platform.name,
        "AWS_SSM_PLATFORM_VERSION": platform.version,
    }


def _read(path: Path, limit: int) -> str:
    with path.open("rb") as stream:
        return stream.read(limit * 4).decode("utf-8", errors="replace")[:limit]
