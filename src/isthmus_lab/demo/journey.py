"""The path that every account takes, through the ARM client alone: connector, template, solutions, and what they then show."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.client import Client

GROUP, CONNECTOR = "demo", "demo-aws"
INVENTORY, ONBOARDING = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"
FILTER = {"arcOnboardEc2FilterTag": "arc:yes"}
_CONNECTIVITY = "providers/Microsoft.HybridConnectivity"
_WAITING = ("AuthorizationPending", "InProgress", "New", "")
_GAPS = frozenset({"denied", "scp", "throttled", "error"})
_PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What can be read at the end. `types` counts projections by type, `gaps` names cells that could not be read, `waiting` says of
    instances that were selected and are not connected why."""

    types: Mapping[str, int]
    cells: int
    gaps: tuple[str, ...]
    selected: int
    connected: int
    waiting: tuple[str, ...]
    left_out: Mapping[str, int]
    inventory: str
    onboarding: str


class Journey:
    """One account's way in. `tell` is told, now and then, how it stands."""

    def __init__(self, client: Client, subscription: str, account: str, tell: Callable[[str], None]) -> None:
        self.client, self.account, self.tell = client, account, tell
        self.root = f"/subscriptions/{subscription}"
        self.connector = f"{self.root}/resourceGroups/{GROUP}/{_CONNECTIVITY}/publicCloudConnectors/{CONNECTOR}"

    def connect(self) -> None:
        """Make a resource group and the account's connector in it."""
        self.client.put(f"{self.root}/resourceGroups/{GROUP}", {"location": "eastus"})
        properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": self.account}}
        body = {"location": "eastus", "tags": {"made-by": "isthmus demo"}, "properties": properties}
        self.client.wait(self.client.put(self.connector, body))

    def template(self) -> Mapping[str, Any]:
        """The CloudFormation template that gives Isthmus its roles in the account, for both solutions."""
        solutions = [{"solutionType": INVENTORY}, {"solutionType": ONBOARDING, "solutionSettings": FILTER}]
        asked = {"connectorId": self.connector, "solutionTypes": solutions}
        body: Mapping[str, Any] = self.client.post(f"{self.root}/{_CONNECTIVITY}/generateAwsTemplate", asked).body
        return body

    def configure(self) -> None:
        """Switch inventory and onboarding on; both begin at once."""
        for name, kind, settings in (("inventory", INVENTORY, {}), ("onboarding", ONBOARDING, FILTER)):
            body = {"properties": {"solutionType": kind, "solutionSettings": settings}}
            self.client.wait(self.client.put(self._solution(name), body))

    def wait(self) -> None:
        """Until the scan has ended and nothing more is under way for any instance, or five minutes are over."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            stock, joining = self._status("inventory"), self._status("onboarding")
            self.tell(f"inventory: {stock['statusDetails']}  onboarding: {joining['statusDetails']}")
            ended = all(one.get("status") not in _WAITING and one.get("lastSyncTime") for one in (stock, joining))
            if (ended and not self._expected()) or time.monotonic() > deadline:
                return
            time.sleep(0.5)

    def find(self) -> Findings:
        """Read everything that was made, as any client would."""
        listed = (one["type"] for one in self.client.list(f"{self.root}/resources", query={"$top": "1000"}))
        types = Counter(name.rpartition("/")[2] for name in listed if name.lower().startswith("microsoft.awsconnector/"))
        hosted = self.client.list(f"{self.root}/providers/Microsoft.AwsConnector/ec2Instances", query={"$top": "1000"})
        types["ec2Instances"] = sum(1 for _ in hosted)
        scopes = [one["properties"] for one in self._listed("inventory", "providers/Isthmus.Inventory/scopes")]
        scopes += [one["properties"] for one in self._listed("onboarding", "providers/Isthmus.Inventory/scopes")]
        gaps = tuple(f"{one['resourceType']} in {one['region']}: {one['reason']}" for one in scopes if one["outcome"] in _GAPS)
        instances = [(one["name"], one["properties"]) for one in self._listed("onboarding", "inventory")]
        selected = [(name, one) for name, one in instances if one["status"] not in ("Excluded", "Removed")]
        waiting = [(name, one) for name, one in selected if one["state"] != "CONNECTED"]
        machines = self.client.list(f"{self.root}/providers/Microsoft.HybridCompute/machines", query={"$top": "1000"})
        return Findings(
            types=+types,
            cells=len(scopes),
            gaps=gaps,
            selected=len(selected),
            connected=sum(1 for one in machines if one["properties"].get("status") == "Connected"),
            waiting=tuple(f"{name} in {one['region']}: {one['code'] or one['state']}: {one['statusDetails']}" for name, one in waiting),
            left_out=Counter(one["code"] for _, one in instances if one["status"] == "Excluded"),
            inventory=self._status("inventory")["statusDetails"],
            onboarding=self._status("onboarding")["statusDetails"],
        )

    def _expected(self) -> bool:
        """Whether an instance may still get on by itself within moments: it waits for Systems Manager or for its next try."""
        states = {one["properties"]["state"] for one in self._listed("onboarding", "inventory")}
        return bool(states - {"CONNECTED", "EXCLUDED", "REMOVED", "STOPPED", "QUARANTINED"})

    def _listed(self, solution: str, what: str) -> list[dict[str, Any]]:
        return list(self.client.list(f"{self._solution(solution)}/{what}", query={"$top": "1000"}))

    def _solution(self, name: str) -> str:
        return f"{self.connector}/{_CONNECTIVITY}/solutionConfigurations/{name}"

    def _status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(self._solution(name))["properties"]
        return found
