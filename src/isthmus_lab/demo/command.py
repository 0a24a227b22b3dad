"""`isthmus demo`: start the lab and the server, take one account all the way, say what happened, stop everything."""

import os
import shutil
import signal
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from isthmus.client import ArmError, Client, choose_token, find_server
from isthmus_lab.demo import administrator, report
from isthmus_lab.demo.administrator import DeploymentFailedError
from isthmus_lab.demo.folder import FolderRefusedError, fresh
from isthmus_lab.demo.journey import Journey
from isthmus_lab.demo.progress import Progress
from isthmus_lab.demo.server import ServeProcess, ServerFailedError
from isthmus_lab.estate import seed
from isthmus_lab.process import LabFailedError, LabProcess

ACCOUNT = "123456789012"
STACK = "Isthmus"
_LOOPBACK = "127.0.0.1,localhost"


def demo(
    *,
    machines: Annotated[int, typer.Option("--machines", min=1, max=1000, help="Machines of the account that are to be onboarded.")] = 24,
    once: Annotated[bool, typer.Option("--once", help="End by itself, also on a terminal.")] = False,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where data and logs go; emptied first. Figures: the same name with .json.")
    ] = Path("build/demo"),
) -> None:
    """Connect an account of an embedded AWS, scan it, onboard its machines, and show what came of it."""
    with Progress() as progress, _signals():
        try:
            with fresh(folder) as place:
                problems = _run(place, machines, progress, stays=not once and progress.console.is_terminal)
        except (FolderRefusedError, LabFailedError, ServerFailedError, DeploymentFailedError) as error:
            problems = [str(error)]
        except ArmError as error:
            problems = [f"{error.message} [{error.code}]"]
        except urllib.error.URLError as error:
            problems = [f"The lab does not answer: {error.reason}"]
        except KeyboardInterrupt:
            problems = ["interrupted"]
    report.complain(progress.console, problems)
    if problems:
        raise typer.Exit(1)


def _run(folder: Path, machines: int, progress: Progress, *, stays: bool) -> list[str]:
    """The whole, with every child stopped at the end; what is not as promised."""
    # Everything here is on this machine; a proxy of the user's is for other places.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = _LOOPBACK
    with ExitStack() as running:
        progress.going("The lab starts: an AWS of its own, on this machine only.")
        lab = LabProcess(folder / "lab")
        running.callback(lab.stop)
        lab.start()
        server = ServeProcess(folder, lab.url, os.environ)
        running.callback(server.stop)
        server.launch()
        progress.done(f"lab at {lab.url}")
        result = _travel(folder, lab, server, machines, progress)
        result.write(folder.with_name(f"{folder.name}.json"))
        running.callback(_say_stopping, progress, stays)
        report.say(progress.console, result, folder=folder, program=_program(), stays=stays)
        if stays:
            report.complain(progress.console, result.problems)
            _stay(lab, server, progress)
        return result.problems


def _travel(folder: Path, lab: LabProcess, server: ServeProcess, machines: int, progress: Progress) -> report.Result:
    with ThreadPoolExecutor(max_workers=1) as pool:
        seeding = pool.submit(seed, lab.url, ACCOUNT, machines)
        progress.going(f"AWS account {ACCOUNT} is furnished; the server starts.")
        note = server.note()
        lab.admin("POST", "/_lab/issuers", _issuer(note.issuer, note.url, Path(note.ca)))
        progress.done(f"server at {note.url}")
        place = find_server(server.data, "", {})
        cache = {"XDG_CACHE_HOME": str(folder / "cache")}
        with Client(place.url, choose_token(place, cache, time.time), verify=place.ca) as client:
            journey = Journey(client, place.subscription, ACCOUNT, progress.going)
            journey.connect()
            progress.done("connector created")
            estate = seeding.result()
            progress.done(f"account {ACCOUNT} holds {estate.resources} resources in {len(estate.regions)} regions")
            progress.going("CloudFormation deploys the authentication template.")
            administrator.deploy(lab.url, ACCOUNT, journey.template(), STACK)
            progress.done("template deployed: AWS now trusts our issuer for this account, and nobody holds a key")
            lab.admin("DELETE", "/_lab/calls")
            journey.configure()
            journey.wait()
            calls = int(lab.admin("GET", "/_lab/calls")["total"])
            seconds = progress.seconds
            found = journey.find()
    progress.done(f"inventory: {found.inventory}")
    progress.done(f"onboarding: {found.onboarding}")
    urls = {"api": note.url, "health": f"{note.url}/healthz", "metrics": f"{note.url}/metrics", "issuer": note.issuer, "lab": lab.url}
    expected = len(estate.onboardable())
    return report.Result(account=ACCOUNT, expected=expected, seconds=seconds, aws_calls=calls, peak=server.peak, urls=urls, found=found)


def _issuer(issuer: str, url: str, ca: Path) -> dict[str, str]:
    """Where the lab finds the issuer that AWS will be told to trust: its name, who answers for it, and which CA signed that."""
    return {"host": issuer.removeprefix("https://"), "connect": f"127.0.0.1:{url.rpartition(':')[2]}", "ca": ca.read_text()}


def _stay(lab: LabProcess, server: ServeProcess, progress: Progress) -> None:
    """Until Ctrl-C, or until a child ends."""
    try:
        while lab.is_running and server.is_running:
            progress.going("Running. Ctrl-C stops everything.")
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    raise ServerFailedError(f"The {'server' if lab.is_running else 'lab'} ended by itself; its log says why.")


def _say_stopping(progress: Progress, stays: bool) -> None:
    if stays:
        progress.going("Stopping.")


def _program() -> str:
    """How the user called us, for the commands to try."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name)
    if found and Path(found).resolve() == called.resolve():
        return called.name
    return str(called) if called.name == "isthmus" else f"{sys.executable} -m isthmus"


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does, so that no child stays behind."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
