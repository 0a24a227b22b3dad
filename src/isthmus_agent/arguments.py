"""The command line of azcmagent: verbs and flags as the official agent has them, as far as this agent supports them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from isthmus_agent.exits import AgentError, Exit

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GUIDS = ("subscription_id", "tenant_id", "vmid", "correlation_id")
_CLOUDS = ("AzureCloud", "AzureUSGovernment", "AzureChinaCloud")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AgentError(Exit.BAD_ARGUMENT, f"{message[:1].upper()}{message[1:]}.")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments by name; AgentError 23 on anything wrong. A private key on the command line is refused before anything is parsed."""
    if any(argument.split("=", 1)[0] == "--private-key" for argument in argv):
        raise AgentError(
            Exit.BAD_ARGUMENT,
            "--private-key is refused: a key on the command line can be read by every process and stays in command histories. "
            "Consider the key disclosed, run genkey and connect with --use-saved-key.",
        )
    arguments = _parser().parse_args(list(argv))
    for name in _GUIDS:
        value = getattr(arguments, name, None)
        if value and not _GUID.fullmatch(value):
            raise AgentError(Exit.BAD_ARGUMENT, f"--{name.replace('_', '-')} must be a GUID.")
    return arguments


def _parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False, allow_abbrev=False)
    shared.add_argument("-j", "--json", action="store_true", help="print JSON")
    shared.add_argument("-v", "--verbose", action="store_true", help="print more")
    shared.add_argument("--log-stderr", action="store_true", help="print messages to standard error")
    shared.add_argument("--no-color", action="store_true", help=argparse.SUPPRESS)
    parser = _Parser(prog="azcmagent", description="Joins this machine to an Isthmus control plane.", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser, metavar="verb")
    verbs.add_parser("genkey", parents=[shared], allow_abbrev=False, help="make a key pair and print its public half")
    _add_connect(verbs, shared)
    show = verbs.add_parser("show", parents=[shared], allow_abbrev=False, help="print what this machine is connected to")
    show.add_argument("properties", nargs="*", metavar="property")
    check = verbs.add_parser("check", parents=[shared], allow_abbrev=False, help="see whether the control plane can be reached")
    check.add_argument("-l", "--location", default="")
    check.add_argument("--cloud", choices=_CLOUDS, default=_CLOUDS[0])
    disconnect = verbs.add_parser("disconnect", parents=[shared], allow_abbrev=False, help="leave the control plane")
    disconnect.add_argument("-f", "--force-local-only", action="store_true", help="clear this machine only")
    verbs.add_parser("version", parents=[shared], allow_abbrev=False, help="print the version")
    service = verbs.add_parser("service", parents=[shared], allow_abbrev=False, help="the agent's service (himds)")
    service.add_argument("action", choices=["run"])
    return parser


def _add_connect(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    connect = verbs.add_parser("connect", parents=[shared], allow_abbrev=False, help="connect to a machine resource that exists already")
    connect.add_argument("mode", choices=["existing"])
    connect.add_argument("-s", "--subscription-id", required=True)
    connect.add_argument("-g", "--resource-group", required=True, type=_filled)
    connect.add_argument("-n", "--resource-name", required=True, type=_filled)
    connect.add_argument("-l", "--location", required=True, type=_filled)
    connect.add_argument("-t", "--tenant-id", required=True)
    connect.add_argument("--vmid", required=True)
    connect.add_argument("--cloud", choices=_CLOUDS, default=_CLOUDS[0])
    connect.add_argument("--correlation-id", default="")
    connect.add_argument("--use-saved-key", action="store_true", required=True)


def _filled(value: str) -> str:
    if not re.fullmatch(r"[\w().-]{1,90}", value):
        raise argparse.ArgumentTypeError("1 to 90 letters, digits, and _ . - ( ) are allowed")
    return value
