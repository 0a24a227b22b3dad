"""What the demo leaves behind: a summary for people and a JSON file for programs, from one record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from isthmus_lab.demo.journey import Findings

TYPES = 30
_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One run. `expected` is how many machines the estate has for onboarding, `aws_calls` what Isthmus asked of AWS after deployment,
    `peak` the server's memory in bytes."""

    account: str
    expected: int
    seconds: float
    aws_calls: int
    peak: int
    urls: Mapping[str, str]
    found: Findings

    @property
    def problems(self) -> list[str]:
        """What is not as promised."""
        found, wrong = self.found, []
        if len(found.types) < TYPES:
            wrong.append(f"Only {len(found.types)} types have resources; {TYPES} were promised.")
        if found.gaps:
            wrong.append(f"{len(found.gaps)} cells could not be read: {'; '.join(found.gaps[:_SHOWN])}")
        if found.selected != self.expected:
            wrong.append(f"{found.selected} instances were selected for onboarding; the account has {self.expected}.")
        if found.connected != found.selected or found.waiting:
            wrong.append(f"{found.connected} of {found.selected} machines are connected: {'; '.join(found.waiting[:_SHOWN])}")
        return wrong

    def write(self, path: Path) -> None:
        """The figures as JSON."""
        body = {
            "account": self.account,
            "types": len(self.found.types),
            "projections": sum(self.found.types.values()),
            "gaps": len(self.found.gaps),
            "machines": self.found.selected,
            "connected": self.found.connected,
            "seconds": round(self.seconds, 1),
            "aws_calls": self.aws_calls,
            "urls": dict(self.urls),
        }
        path.write_text(json.dumps(body, indent=2) + "\n")


def say(console: Console, result: Result, *, folder: Path, program: str, stays: bool) -> None:
    """What happened, where to look, what to try."""
    found = result.found
    left_out = ", ".join(f"{number} {code}" for code, number in sorted(found.left_out.items()))
    lines = [
        "",
        f"AWS account {result.account} is connected. No credential was typed, copied or stored on the way.",
        "",
        f"  inventory    {sum(found.types.values())} resources of {len(found.types)} types, {len(found.gaps)} gaps in {found.cells} scopes",
        f"  machines     {found.connected} of {found.selected} selected instances are connected; left out: {left_out or 'none'}",
        f"  AWS calls    {result.aws_calls}",
        f"  time         {result.seconds:.1f} s; the server's memory was {result.peak / 1e6:.0f} MB at most",
        "",
        *(f"  {name:<12} {url}" for name, url in result.urls.items()),
        f"  logs         {folder / 'serve.log'}, {folder / 'lab' / 'lab.log'}",
        "",
    ]
    data = folder / "data"
    if stays:
        lines += [
            "Look around from another terminal:",
            f"  export ISTHMUS_DATA={data}",
            f"  {program} login --link          # a link that signs you in to the portal",
            f"  {program} inventory types",
            f"  {program} inventory list ec2Instances",
            f"  {program} machine list",
            f"  {program} connector list",
            f"  {program} audit verify",
            "The account itself, with the AWS CLI or an SDK:",
            f"  export AWS_ENDPOINT_URL={result.urls['lab']} AWS_ACCESS_KEY_ID={result.account} AWS_SECRET_ACCESS_KEY=isthmus-lab",
            "",
            "Ctrl-C stops everything.",
        ]
    else:
        lines += [
            "Everything was stopped again. To look at what was stored, start the server on its data (without the lab):",
            f"  ISTHMUS_DATA={data} {program} serve",
            "To play with the whole, run the demo without --once from a terminal.",
        ]
    for line in lines:
        console.print(line, soft_wrap=True)


def complain(console: Console, problems: list[str]) -> None:
    """What is wrong, one line each."""
    for problem in problems:
        console.print(Text.assemble(("not as promised: ", "bold red"), problem), soft_wrap=True)
