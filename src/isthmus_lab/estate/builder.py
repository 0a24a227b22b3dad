"""What the parts of the estate share: clients, tags, and the record of what was made."""

import json
import threading
from collections import Counter
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from isthmus_lab.environment import root_credentials
from isthmus_lab.process import admin_call

TEAMS = ("shop", "billing", "data", "platform")


class Builder:
    """Makes boto3 clients of one account's root and counts what is made. Thread-safe.

    `made` counts created resources by (type name of the inventory, region); resources that every new account has, such as the
    default VPC, are not in it. `fixtures` names the types whose answers were put into the lab instead of being made through AWS's API.
    """

    def __init__(self, endpoint: str, account: str) -> None:
        self.account = account
        self.fixtures: set[str] = set()
        self.made: Counter[tuple[str, str]] = Counter()
        self._endpoint = endpoint
        self._lock = threading.RLock()
        # A session of its own, without the host's profiles; one is enough since the service models stay loaded in it.
        core = botocore.session.Session(session_vars={"profile": (None, None, None, None), "config_file": (None, None, "/dev/null", None)})
        self._session = boto3.Session(botocore_session=core, region_name="us-east-1", **root_credentials(account))
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        """The client of a service in a region."""
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                config = Config(
                    s3={"addressing_style": "path"}, inject_host_prefix=False, retries={"total_max_attempts": 2}, max_pool_connections=16
                )
                client = self._session.client(service, region_name=region, endpoint_url=self._endpoint, config=config)
                if service == "s3control":
                    client.meta.events.register("before-send.s3-control", self._without_host_prefix)
                self._clients[key] = client
            return self._clients[key]

    def _without_host_prefix(self, request: Any, **_: object) -> None:
        # s3control puts the account into the host name whatever the configuration says.
        request.url = request.url.replace(f"://{self.account}.", "://", 1)

    def put(self, type_name: str, region: str, service: str, **answers: dict[str, Any]) -> None:
        """Set fixture answers by operation, for a type that no emulator makes; counts one resource in the region."""
        signed = "us-east-1" if region == "global" else region
        for action, answer in answers.items():
            body = {"account": self.account, "region": signed, "service": service, "action": action, "answer": answer}
            admin_call(self._endpoint, "POST", "/_lab/fixtures", body)
        with self._lock:
            self.fixtures.add(type_name)
        self.count(type_name, region)

    def count(self, type_name: str, region: str, number: int = 1) -> None:
        """Record created resources."""
        with self._lock:
            self.made[type_name, region] += number


def tags(name: str, team: str, env: str, **more: str) -> dict[str, str]:
    """The tags that this estate puts on everything."""
    return {"Name": name, "team": team, "env": env, "cost-center": f"cc-{1000 + 10 * TEAMS.index(team)}", **more}


def pairs(named: dict[str, str]) -> list[dict[str, str]]:
    """Tags as most services take them."""
    return [{"Key": key, "Value": value} for key, value in named.items()]


def specification(kind: str, named: dict[str, str]) -> list[dict[str, Any]]:
    """Tags as EC2 takes them at creation."""
    return [{"ResourceType": kind, "Tags": pairs(named)}]


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


def trusts(service: str) -> str:
    """A trust policy for one AWS service."""
    return policy({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})
