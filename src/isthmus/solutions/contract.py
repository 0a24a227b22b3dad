"""What a solution type is: its id, its settings, and the job that brings the account and the store in line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from isthmus.arm.errors import ArmError, all_of, invalid

Kind = Literal["boolean", "integer", "string", "array"]
REGION_TITLES: Mapping[str, str] = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-3": "Asia Pacific (Osaka)",
    "eu-west-1": "Europe (Ireland)",
    "eu-west-2": "Europe (London)",
    "eu-central-1": "Europe (Frankfurt)",
    "eu-north-1": "Europe (Stockholm)",
    "ca-central-1": "Canada (Central)",
    "sa-east-1": "South America (São Paulo)",
}
REGIONS = tuple(REGION_TITLES)
"""Regions that the setting offers, as Azure's connector does; `scanAllAWSRegions` reaches every region that the account has enabled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One entry of `solutionSettings`. Every value is text; lists are comma-separated, blanks allowed. No `allowed` means free text.

    `titles` names allowed values for people, in their order. `check` looks at a value that already fits `kind` and `allowed`, and raises
    ValueError with a sentence. `tidy` makes of a checked value what is stored; what it made it leaves as it is.
    """

    name: str
    display: str
    kind: Kind
    description: str
    default: str
    allowed: tuple[str, ...] = ()
    open_list: bool = False
    titles: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[str], None] | None = None
    tidy: Callable[[str], str] | None = None

    def body(self) -> dict[str, object]:
        """The setting as `solutionTypes` shows it; `allowsOtherValues` where a list may hold more than is offered."""
        titles = {"allowedValueTitles": dict(self.titles)} if self.titles else {}
        others = {"allowsOtherValues": True} if self.open_list else {}
        return {
            "name": self.name,
            "displayName": self.display,
            "type": self.kind,
            "description": self.description,
            "allowedValues": list(self.allowed) or [""],
            "defaultValue": self.default,
            **titles,
            **others,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class SolutionType:
    """One solution type. `sync_job` brings everything in line; it runs at creation, on change, on the period and on `syncNow`. `agree`
    looks at complete settings together and raises ArmError."""

    id: str
    description: str
    settings: tuple[Setting, ...]
    locations: tuple[str, ...]
    sync_job: str
    agree: Callable[[Mapping[str, str]], object] | None = None

    def setting(self, name: str) -> Setting | None:
        """The setting of this name; names compare exactly, as clients send them."""
        return next((setting for setting in self.settings if setting.name == name), None)

    def complete(self, given: Mapping[str, object]) -> dict[str, str]:
        """Settings as they will be stored: what was sent, checked, and the defaults of what was not.

        Raises ArmError 400 `InvalidSolutionSetting` that names the setting and what it accepts; of several wrong ones, all in `details`.
        """
        values, problems = self.judge(given)
        if problems:
            raise all_of(problems)
        complete = {setting.name: values.get(setting.name, setting.default) for setting in self.settings}
        if self.agree is not None:
            self.agree(complete)
        return complete

    def judge(self, given: Mapping[str, object]) -> tuple[dict[str, str], tuple[ArmError, ...]]:
        """The values that are right, in their one spelling, and what is wrong with each of the others."""
        values: dict[str, str] = {}
        known = ", ".join(setting.name for setting in self.settings)
        problems = [
            _wrong(name, f"'{name[:64]}' is not a setting of {self.id}. It knows: {known}.") for name in given if self.setting(name) is None
        ]
        for setting in self.settings:
            if setting.name in given:
                try:
                    values[setting.name] = _checked(setting, given[setting.name])
                except ArmError as error:
                    problems.append(error)
        return values, tuple(problems)


def words(value: str) -> tuple[str, ...]:
    """The entries of a comma-separated value, without blanks around them."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _checked(setting: Setting, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(setting.name, f"{setting.name} must be text (all solution settings are), not {type(value).__name__}.")
    if setting.kind == "array":
        _check_list(setting, value)
    elif setting.allowed and value.strip().lower() not in setting.allowed:
        raise _wrong(setting.name, f"{setting.name} accepts {', '.join(setting.allowed)}; not '{value[:64]}'.")
    # What is chosen from known words has one spelling; free text, such as a tag, keeps its own.
    text = value.strip().lower() if setting.kind in ("boolean", "integer") or setting.allowed else value.strip()
    if setting.check is not None:
        try:
            setting.check(text)
        except ValueError as error:
            raise _wrong(setting.name, f"{setting.name}: {error}") from error
    return setting.tidy(text) if setting.tidy is not None and text else text


def _check_list(setting: Setting, value: str) -> None:
    if not setting.allowed:
        return
    entries = words(value)
    if not entries:
        raise _wrong(setting.name, f"{setting.name} is empty. Name at least one of: {', '.join(setting.allowed)}.")
    unknown = [entry for entry in entries if entry.lower() not in setting.allowed]
    if unknown and not setting.open_list:
        raise _wrong(setting.name, f"{setting.name} does not know '{unknown[0][:64]}'. It accepts: {', '.join(setting.allowed)}.")


def _wrong(name: str, message: str) -> ArmError:
    return invalid(message, target=f"properties.solutionSettings.{name}", code="InvalidSolutionSetting")


PERIODIC_SYNC = Setting(
    name="periodicSync",
    display="Periodic Sync",
    kind="boolean",
    description="Keep the account in sync at a fixed period.",
    allowed=("true", "false"),
    default="true",
)
PERIOD = Setting(
    name="periodicSyncTime",
    display="Periodic Sync Time",
    kind="integer",
    description="Hours between two syncs.",
    allowed=("1", "2", "4", "6", "12", "24"),
    default="1",
)
ALL_REGIONS = Setting(
    name="scanAllAWSRegions",
    display="Scan all supported AWS regions",
    kind="boolean",
    description="Every region that the account has enabled, unless cloudProviderRegions names some.",
    allowed=("true", "false"),
    default="true",
)


def check_regions(value: str) -> None:
    """Region names have AWS's form; regions newer than this program are welcome."""
    for entry in words(value):
        parts = entry.lower().split("-")
        if len(parts) < 3 or not parts[-1].isdigit() or not all(part.isalnum() for part in parts):
            raise ValueError(f"'{entry[:64]}' is not an AWS region name (like eu-central-1).")


REGION_LIST = Setting(
    name="cloudProviderRegions",
    display="Cloud Provider Regions",
    kind="array",
    description="AWS regions to look at.",
    allowed=REGIONS,
    titles=REGION_TITLES,
    open_list=True,
    default=", ".join(REGIONS),
    check=check_regions,
)
