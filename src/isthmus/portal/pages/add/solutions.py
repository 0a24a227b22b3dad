"""Step 2: what the connector does, with every setting of both solutions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.portal.forms import Form
from isthmus.portal.page import Page, Visit
from isthmus.portal.pages.add.draft import KINDS, START, Draft
from isthmus.portal.pages.add.findings import NO_PROXY_YET, Findings
from isthmus.portal.pages.add.steps import Step, Wizard

_SEPARATOR = re.compile(r"[,\s]+")

Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """All of something, or those that are listed; `more` are listed ones that the form has no box for."""

    has_all: bool
    listed: tuple[str, ...] = ()
    more: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recurrence:
    """Periodic sync, and the hours between two syncs."""

    is_on: bool
    hours: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InventoryForm:
    """Inventory."""

    is_on: bool
    services: Listed
    has_global_read: bool
    recurrence: Recurrence
    regions: Listed


@dataclass(frozen=True, kw_only=True, slots=True)
class OnboardingForm:
    """Arc onboarding. `has_proxy` is the endpoint, `tag` the filter."""

    is_on: bool
    has_proxy: bool
    proxy: str
    recurrence: Recurrence
    regions: Listed
    tag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SolutionsPage:
    """The step and what may be chosen: values with their names."""

    wizard: Wizard
    inventory: InventoryForm
    onboarding: OnboardingForm
    services: Choices
    regions: Choices
    hours: Choices


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """What the API offers: solution type and setting to allowed values with their names."""

    settings: Mapping[tuple[str, str], Choices]

    def choices(self, solution: str, setting: str) -> Choices:
        """Values with their names, in the API's order."""
        return self.settings.get((KINDS[solution].lower(), setting), ())

    def title(self, solution: str, setting: str, value: str) -> str:
        """The name of a value; the value itself where it has none."""
        return next((title for key, title in self.choices(solution, setting) if key == value), value)


def catalogue(visit: Visit) -> Catalogue:
    """Read it."""
    found: dict[tuple[str, str], Choices] = {}
    for kind in visit.client.list(f"{visit.root}/providers/Microsoft.HybridConnectivity/solutionTypes"):
        properties = kind["properties"]
        for setting in properties["solutionSettings"]:
            titles = setting.get("allowedValueTitles", {})
            named = tuple((value, titles.get(value, value)) for value in setting["allowedValues"] if value)
            found[properties["solutionType"].lower(), setting["name"]] = named
    return Catalogue(settings=found)


def inventory_form(draft: Draft, offered: Catalogue) -> InventoryForm:
    """The fields of Inventory."""
    settings = draft.settings("inventory")
    services = offered.choices("inventory", "cloudProviderServiceTypes")
    return InventoryForm(
        is_on=draft.is_on("inventory"),
        services=_listed(settings, "cloudProviderServiceTypes", "scanAllAWSServices", services),
        has_global_read=_is_true(settings, "awsGlobalReadOnly"),
        recurrence=_recurrence(settings),
        regions=_listed(settings, "cloudProviderRegions", "scanAllAWSRegions", offered.choices("inventory", "cloudProviderRegions")),
    )


def onboarding_form(draft: Draft, offered: Catalogue) -> OnboardingForm:
    """The fields of Arc onboarding."""
    settings = draft.settings("onboarding")
    proxy = settings.get("proxyServer", "")
    return OnboardingForm(
        is_on=draft.is_on("onboarding"),
        has_proxy=bool(proxy),
        proxy="" if proxy == NO_PROXY_YET else proxy,
        recurrence=_recurrence(settings),
        regions=_listed(settings, "cloudProviderRegions", "scanAllAWSRegions", offered.choices("onboarding", "cloudProviderRegions")),
        tag=settings.get("arcOnboardEc2FilterTag", ""),
    )


def _is_true(settings: Mapping[str, str], name: str) -> bool:
    return settings.get(name, "true").strip().lower() == "true"


def _recurrence(settings: Mapping[str, str]) -> Recurrence:
    return Recurrence(is_on=_is_true(settings, "periodicSync"), hours=settings.get("periodicSyncTime", "1").strip())


def _listed(settings: Mapping[str, str], name: str, everything: str, offered: Choices) -> Listed:
    """A list that names less than everything wins over "all", as it does in the API."""
    known = tuple(key for key, _ in offered)
    words = tuple(word.strip().lower() for word in settings.get(name, "").split(",") if word.strip())
    if _is_true(settings, everything) and (name not in settings or words == known):
        return Listed(has_all=True)
    return Listed(has_all=False, listed=words, more=", ".join(word for word in words if word not in known))


def _page(visit: Visit, draft: Draft, _findings: Findings, wizard: Wizard) -> SolutionsPage:
    offered = catalogue(visit)
    hours = tuple(key for key, _ in offered.choices("inventory", "periodicSyncTime"))
    return SolutionsPage(
        wizard=wizard,
        inventory=inventory_form(draft, offered),
        onboarding=onboarding_form(draft, offered),
        services=offered.choices("inventory", "cloudProviderServiceTypes"),
        regions=offered.choices("inventory", "cloudProviderRegions"),
        hours=tuple((hour, spoken_hours(hour)) for hour in hours),
    )


def spoken_hours(hours: str) -> str:
    """`1 hour`, `24 hours`."""
    return f"{hours} hour{'' if hours == '1' else 's'}"


def _typed(form: Form, _draft: Draft) -> Mapping[str, Any]:
    """Both solutions, also one that is off: its settings stay for when it is switched on."""
    inventory = {
        **_sent_list(form, "cloudProviderServiceTypes", "scanAllAWSServices", "inventory-services", ("inventory-service",)),
        "awsGlobalReadOnly": "true" if form.get("inventory-read") == "global" else "false",
        **_sent_schedule(form, "inventory"),
    }
    onboarding = {
        "proxyServer": (form.get("onboarding-proxy") or NO_PROXY_YET) if form.get("onboarding-endpoint") == "proxy" else "",
        "arcOnboardEc2FilterTag": form.get("onboarding-tag"),
        **_sent_schedule(form, "onboarding"),
    }
    return {
        "solutions": {
            "inventory": {"enabled": form.get("inventory") == "true", "settings": inventory},
            "onboarding": {"enabled": form.get("onboarding") == "true", "settings": onboarding},
        }
    }


def _sent_schedule(form: Form, solution: str) -> dict[str, str]:
    boxes = (f"{solution}-region", f"{solution}-more-regions")
    return {
        "periodicSync": "true" if form.get(f"{solution}-periodic") == "true" else "false",
        "periodicSyncTime": form.get(f"{solution}-period", "1"),
        **_sent_list(form, "cloudProviderRegions", "scanAllAWSRegions", f"{solution}-regions", boxes),
    }


def _sent_list(form: Form, name: str, everything: str, question: str, boxes: Sequence[str]) -> dict[str, str]:
    if form.get(question, "all") == "all":
        return {everything: "true"}
    words = [word for box in boxes for given in form.list(box) for word in _SEPARATOR.split(given) if word]
    return {everything: "false", name: ", ".join(dict.fromkeys(words))}


SOLUTIONS = Step(name="solutions", page=_page, typed=_typed)
PAGES = (
    Page(path=f"{START}/{{draft}}/solutions", template="add_solutions.html", view=SOLUTIONS.view, act=SOLUTIONS.act, nav="connectors"),
)
