"""The whole program for end-to-end tests: the lab and `isthmus serve` as child processes, on free ports, each with a log.

Fixtures in `conftest.py` hand these out: `stack` (one for the session, SQLite, an account with twelve machines, trusted and scanned by
nobody yet) and `new_stack` (a function that makes stacks of a test's own: another database, another estate, faults, kills).

What a test uses: `stack.url` and `stack.ca` (a PEM file) for any HTTPS client; `stack.data` (the server's data folder; keys in
`stack.data / "keys"`); `stack.lab` (`LabProcess`: `admin`, `client_arguments`); `stack.client` (a signed-in `isthmus.client.Client`
of the operator); `stack.root` (`/subscriptions/{id}`); `stack.restart()`, `stack.kill()` (SIGKILL) and `stack.start()`, which listens on
the same port again; `stack.connect()`, `stack.deploy()`, `stack.configure()` for the steps that every account needs.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx

from isthmus.client import Client, choose_token, find_server
from isthmus_lab.estate import Summary, seed
from isthmus_lab.process import LabProcess
from tests.support.ports import lasting_port
from tests.support.waiting import until

ACCOUNT = "210987654321"
GROUP = "clouds"
INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"
FILTER = {"arcOnboardEc2FilterTag": "arc:yes"}
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_START")


def clean_environ(folder: Path) -> dict[str, str]:
    """The environment of a child: nothing of the developer's own AWS, Isthmus or proxies."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    return {**kept, "XDG_CACHE_HOME": str(folder / "cache"), "NO_PROXY": "*"}


class Server:
    """`isthmus serve` on a data folder, as a child. `start` waits until it is ready; `stop` is SIGTERM, `kill` is SIGKILL."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *options: str) -> None:
        self.data, self.log, self.options = folder / "data", folder / "serve.log", options
        self.keys = Path(settings.get("ISTHMUS_KEYS_FOLDER", "") or self.data / "keys")
        self.port = lasting_port()
        self.environ = {**clean_environ(folder), "ISTHMUS_DATA": str(self.data), "ISTHMUS_PORT": str(self.port), **settings}
        self.child: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 60.0) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "isthmus", "serve", "--exact-port", *self.options],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._ready, seconds, what="the server is ready")

    def _ready(self) -> bool:
        assert self.child is not None
        assert self.child.poll() is None, f"the server ended with {self.child.poll()}:\n{self.log.read_text()[-4000:]}"
        if not (self.data / "server.json").exists() and "--work-only" not in self.options:
            return False
        try:
            context = ssl.create_default_context(cafile=self.keys / "ca.pem")
            return httpx.get(f"https://localhost:{self.port}/readyz", verify=context, timeout=5, trust_env=False).status_code == 200
        except (httpx.TransportError, FileNotFoundError):
            return False

    def stop(self, number: int = signal.SIGTERM, seconds: float = 45.0) -> None:
        """End it by a signal and wait; SIGKILL when it does not listen."""
        child, self.child = self.child, None
        if child is None or child.poll() is not None:
            return
        child.send_signal(number)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Stack:
    """Lab and server, joined. `database_url` is empty for SQLite in the data folder; `machines` as in `isthmus_lab.estate.seed`.

    `estate` False leaves the account empty.
    """

    def __init__(
        self, folder: Path, *, database_url: str = "", machines: int = 12, estate: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.account = ACCOUNT
        self.lab = LabProcess(folder / "lab", port=0)
        self.database_url = database_url
        self._machines, self._wanted, self._settings = machines, estate, dict(settings or {})
        self.estate: Summary | None = None

    def __enter__(self) -> Stack:
        self.lab.start()
        environ = {
            "AWS_ENDPOINT_URL": self.lab.url,
            "ISTHMUS_DATABASE_URL": self.database_url,
            "ISTHMUS_ISSUER_ADDRESS": "self",
            **self._settings,
        }
        self.server = Server(self.folder, environ)
        try:
            self.start()
            issuer = {"host": "issuer.isthmus.test", "connect": f"127.0.0.1:{self.server.port}", "ca": self.ca.read_text()}
            self.lab.admin("POST", "/_lab/issuers", issuer)
            if self._wanted:
                self.estate = seed(self.lab.url, self.account, machines=self._machines)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything."""
        if "client" in vars(self):
            self.client.close()
        self.server.stop()
        self.lab.stop()

    @property
    def url(self) -> str:
        """`https://localhost:port`."""
        return f"https://localhost:{self.server.port}"

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.server.data

    @property
    def ca(self) -> Path:
        """PEM file of the CA that signed the server's certificate."""
        return self.data / "keys" / "ca.pem"

    @property
    def database(self) -> str:
        """The URL of the database in effect."""
        return self.database_url or f"sqlite:///{self.data / 'isthmus.db'}"

    @cached_property
    def client(self) -> Client:
        """The operator's client; it survives restarts of the server."""
        place = find_server(self.data, "", {})
        return Client(place.url, choose_token(place, {"XDG_CACHE_HOME": str(self.folder / "cache")}, time.time), verify=place.ca)

    @cached_property
    def root(self) -> str:
        """`/subscriptions/{id}` of the default subscription."""
        return f"/subscriptions/{find_server(self.data, '', {}).subscription}"

    def start(self) -> None:
        """Start the server (again, on the same data and port)."""
        self.server.start()

    def stop(self) -> None:
        """Stop the server as a service manager would."""
        self.server.stop()

    def kill(self) -> None:
        """SIGKILL to the server."""
        self.server.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def aws(self, service: str, region: str = "us-east-1") -> Any:
        """A boto3 client that is the account's root."""
        return boto3.Session().client(service, **self.lab.client_arguments(self.account, region))

    @property
    def connector(self) -> str:
        """The id of the account's connector."""
        return f"{self.root}/resourceGroups/{GROUP}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/aws"

    def solution(self, name: str) -> str:
        """The id of a solution configuration of the connector."""
        return f"{self.connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/{name}"

    def connect(self) -> None:
        """Make the resource group and the connector."""
        self.client.put(f"{self.root}/resourceGroups/{GROUP}", {"location": "eastus"})
        profile = {"hostType": "AWS", "awsCloudProfile": {"accountId": self.account}}
        self.client.wait(self.client.put(self.connector, {"location": "eastus", "properties": profile}))

    def template(self) -> str:
        """The account's authentication template, for both solutions."""
        asked = [{"solutionType": INVENTORY}, {"solutionType": ONBOARDING, "solutionSettings": FILTER}]
        path = f"{self.root}/providers/Microsoft.HybridConnectivity/generateAwsTemplate"
        body = self.client.post(path, {"connectorId": self.connector, "solutionTypes": asked}).body
        return json.dumps(body, separators=(",", ":"))

    def deploy(self, template: str = "") -> None:
        """Deploy a template, that of both solutions where none is given, as the account's administrator would."""
        formation = self.aws("cloudformation")
        formation.create_stack(StackName="Isthmus", TemplateBody=template or self.template(), Capabilities=["CAPABILITY_NAMED_IAM"])
        done = until(lambda: _stack_end(formation), what="the template is deployed")
        assert done == "CREATE_COMPLETE", formation.describe_stack_events(StackName="Isthmus")["StackEvents"]

    def configure(self, name: str, kind: str, settings: Mapping[str, str] | None = None) -> None:
        """Put a solution configuration; it begins to work by itself."""
        properties: dict[str, Any] = {"solutionType": kind, "solutionSettings": dict(settings or {})}
        self.client.wait(self.client.put(self.solution(name), {"properties": properties}))

    def status(self, name: str) -> dict[str, Any]:
        """The properties of a solution configuration."""
        found: dict[str, Any] = self.client.get(self.solution(name))["properties"]
        return found

    def sync(self, name: str, body: Mapping[str, Any] | None = None) -> Any:
        """Sync now and wait for the end; what the operation answered."""
        return self.client.wait(self.client.post(f"{self.solution(name)}/syncNow", body), pause=0.2)

    def scopes(self, name: str) -> list[dict[str, Any]]:
        """The ledger of scopes of a solution."""
        return [one["properties"] for one in self.client.list(f"{self.solution(name)}/providers/Isthmus.Inventory/scopes")]

    def instances(self, name: str) -> dict[str, dict[str, Any]]:
        """The instances of an onboarding solution: properties by instance id."""
        return {one["name"]: one["properties"] for one in self.client.list(f"{self.solution(name)}/inventory")}

    def machines(self) -> list[dict[str, Any]]:
        """Every machine of the subscription."""
        return list(self.client.list(f"{self.root}/providers/Microsoft.HybridCompute/machines"))

    def fault(self, **rule: Any) -> None:
        """Put a fault rule of the lab in force."""
        self.lab.admin("POST", "/_lab/faults", rule)

    def heal(self) -> None:
        """Remove all fault rules."""
        self.lab.admin("DELETE", "/_lab/faults")

    def machine_fault(self, instance: str, fault: str, **settings: Any) -> None:
        """Inject a fault into one machine of the lab."""
        self.lab.admin("POST", f"/_lab/machines/{instance}/{fault}", settings)


def _stack_end(formation: Any) -> str:
    state = str(formation.describe_stacks(StackName="Isthmus")["Stacks"][0]["StackStatus"])
    return "" if state.endswith("_IN_PROGRESS") else state


__all__ = ["ACCOUNT", "FILTER", "GROUP", "INVENTORY", "ONBOARDING", "Server", "Stack", "clean_environ", "until"]
