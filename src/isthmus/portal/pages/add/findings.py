"""What is wrong with a draft: the API's findings, said at the fields of the wizard's forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.portal.forms import Problem, Problems
from isthmus.portal.page import Visit
from isthmus.portal.pages.add.draft import KINDS, ORDER, SOLUTIONS, Draft

FIELDS: Mapping[str, tuple[str, str]] = {
    "basics.resourceGroup": ("resource-group", "Resource group"),
    "basics.connectorName": ("connector-name", "Connector name"),
    "basics.location": ("location", "Region"),
    "basics.isOrganizationalAccount": ("account-kind", "Account"),
    "basics.accountId": ("account-id", "AWS account id"),
    "solutions.inventory.settings.cloudProviderServiceTypes": ("inventory-service", "AWS services"),
    "solutions.inventory.settings.scanAllAWSServices": ("inventory-services", "AWS services"),
    "solutions.inventory.settings.awsGlobalReadOnly": ("inventory-read", "Permissions"),
    "solutions.inventory.settings.periodicSync": ("inventory-periodic", "Periodic sync"),
    "solutions.inventory.settings.periodicSyncTime": ("inventory-period", "Recur every"),
    "solutions.inventory.settings.cloudProviderRegions": ("inventory-region", "AWS regions"),
    "solutions.inventory.settings.scanAllAWSRegions": ("inventory-regions", "AWS regions"),
    "solutions.onboarding.settings.proxyServer": ("onboarding-proxy", "Proxy server"),
    "solutions.onboarding.settings.periodicSync": ("onboarding-periodic", "Periodic sync"),
    "solutions.onboarding.settings.periodicSyncTime": ("onboarding-period", "Recur every"),
    "solutions.onboarding.settings.cloudProviderRegions": ("onboarding-region", "AWS regions"),
    "solutions.onboarding.settings.scanAllAWSRegions": ("onboarding-regions", "AWS regions"),
    "solutions.onboarding.settings.arcOnboardEc2FilterTag": ("onboarding-tag", "Tag filter"),
}
"""Paths in a draft: the id of the field, and what it is called."""
_ORDER: Mapping[str, int] = {field: number for number, (field, _) in enumerate(FIELDS.values(), 1)}
NO_PROXY_YET = "http://"
"""What is kept of a proxy that was chosen and not named: the API refuses it, so that it is not taken for none."""
_LISTS: Mapping[str, str] = {
    "cloudProviderServiceTypes": "Choose at least one service, or all supported services.",
    "cloudProviderRegions": "Choose at least one region, or all supported regions.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing: the step, the id of the field (empty: the step as a whole), a sentence, and whether it stands in the way of creation."""

    step: str
    field: str
    message: str
    is_error: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything about a draft. `group_exists` is None when the visitor may not know."""

    found: tuple[Finding, ...] = ()
    is_ready: bool = False
    group_exists: bool | None = None
    group_location: str = ""

    def problems(self, step: str) -> Problems:
        """What is wrong with a step."""
        found = sorted((one for one in self.found if one.step == step and one.is_error), key=lambda one: _ORDER.get(one.field, 0))
        return Problems(found=tuple(Problem(field=one.field, message=one.message) for one in found))

    def warnings(self, step: str) -> tuple[str, ...]:
        """What is worth knowing at a step."""
        return tuple(one.message for one in self.found if one.step == step and not one.is_error)


def judge(visit: Visit, draft: Draft) -> Findings:
    """Ask the API what it makes of the draft."""
    body = visit.client.post(f"{draft.id}/validate").body
    group = body["resourceGroup"]
    return Findings(
        found=tuple(_finding(step, one, draft) for step in ORDER[:-1] for one in body["steps"][step]),
        is_ready=body["isReady"],
        group_exists=group["exists"],
        group_location=group["location"] or "",
    )


def tag_rows(draft: Draft) -> tuple[tuple[str, str], ...]:
    """The tags as their form shows them: each name once, then those that were typed again."""
    repeated = [(tag["name"], tag["value"]) for tag in draft.properties.get("repeatedTags", ())]
    return (*draft.properties.get("tags", {}).items(), *repeated)


def _finding(step: str, one: Mapping[str, Any], draft: Draft) -> Finding:
    target, label = _place(one, draft)
    return Finding(step=step, field=target, message=_sentence(one, label, draft), is_error=one["severity"] == "error")


def _place(one: Mapping[str, Any], draft: Draft) -> tuple[str, str]:
    """The field that a finding is about, and its name."""
    path = one["target"]
    if path == "tags" or path.startswith("tags."):
        return _tag_field(path.removeprefix("tags").removeprefix("."), one["code"], tag_rows(draft)) if path != "tags" else "tags", "Tag"
    solution, _, setting = path.removeprefix("solutions.").partition(".settings.")
    if setting == "cloudProviderRegions" and draft.settings(solution).get(setting):
        # Known regions are boxes: one that is wrong was typed.
        return f"{solution}-more-regions", "AWS regions"
    return FIELDS.get(path, ("", ""))


def _tag_field(name: str, code: str, rows: Iterable[tuple[str, str]]) -> str:
    """The row of a tag; of one that stands twice, the last."""
    numbers = [number for number, (given, _) in enumerate(rows, 1) if given[:64] == name]
    part = "value" if code == "InvalidTagValue" else "name"
    return f"tag-{part}-{numbers[-1]}" if numbers else "tags"


def _sentence(one: Mapping[str, Any], label: str, draft: Draft) -> str:
    """What happened, and what to do."""
    code, path = one["code"], one["target"]
    setting = path.rpartition(".")[2]
    if code == "InvalidSolutionSetting":
        solution = path.removeprefix("solutions.").partition(".")[0]
        if setting in _LISTS and not draft.settings(solution).get(setting, "").strip(" ,"):
            return _LISTS[setting]
        if setting == "proxyServer" and draft.settings(solution)[setting] == NO_PROXY_YET:
            return "Proxy server URL is empty. Write http://server:port, or choose the public endpoint."
        text = one["message"].partition(" It accepts: ")[0].removeprefix(f"{setting}: ")
        if setting == "proxyServer":
            text = text.replace(", or leave it empty", "")
        return f"{label}: {text}" if label else text
    if code == "ValueRequired" or (path.startswith("basics.") and not str(draft.basics.get(setting, "")).strip()):
        return f"{label} is empty. {one['remedy']}"
    if code == "InvalidResourceName":
        return f"'{str(draft.basics.get(setting, ''))[:64]}' cannot be a {label.lower()}. {one['remedy']}"
    text = f"{one['message']} {one['remedy']}"
    for name, kind in KINDS.items():
        text = text.replace(kind, SOLUTIONS[name])
    return text
