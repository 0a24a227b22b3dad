"""What every command has: the options that hold everywhere, a client that is signed in, and one border for errors."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, get_args, get_origin

import typer
from pydantic import ValidationError

from isthmus.arm.errors import ArmError
from isthmus.arm.wording import sentence
from isthmus.cli.formats import Output
from isthmus.cli.output import Progress, clean, console, print_error
from isthmus.client import Client, Place, choose_token, find_server
from isthmus.settings import Settings

P = ParamSpec("P")
Verb = Callable[Concatenate["Session", P], None]

ME = "/providers/Isthmus.Identity/me"
_PANEL = "Options of every command"
_GLOBAL: dict[str, Any] = {
    "output": Annotated[Output | None, typer.Option("--output", "-o", help="How results are printed.", rich_help_panel=_PANEL)],
    "subscription": Annotated[
        str | None,
        typer.Option("--subscription", help="Subscription, by id or name.", envvar="ISTHMUS_SUBSCRIPTION_ID", rich_help_panel=_PANEL),
    ],
    "data": Annotated[
        Path | None, typer.Option("--data", help="Data folder of the server.", envvar="ISTHMUS_DATA", rich_help_panel=_PANEL)
    ],
    "url": Annotated[
        str | None,
        typer.Option("--url", help="Server elsewhere.", envvar="ISTHMUS_URL", rich_help_panel=_PANEL),
    ],
    "ca": Annotated[
        Path | None,
        typer.Option(
            "--ca",
            help="CA file of a server that has its own; 'isthmus login' remembers it.",
            envvar="ISTHMUS_CA_FILE",
            rich_help_panel=_PANEL,
        ),
    ],
    "debug": Annotated[bool, typer.Option("--debug", help="Show tracebacks.", rich_help_panel=_PANEL)],
}


@dataclass(kw_only=True)
class Session:
    """One run of one command."""

    output: Output = Output.TABLE
    asked_subscription: str = ""
    data: Path = Path()
    url: str = ""
    ca: Path | None = None
    debug: bool = False
    arguments: tuple[str, ...] = ()
    sleep: Callable[[float], None] = time.sleep

    @cached_property
    def place(self) -> Place:
        """The server that this run talks to."""
        return self.server_at(self.url)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, with the CA file that the line names."""
        return {**os.environ, "ISTHMUS_CA_FILE": str(self.ca)} if self.ca else os.environ

    def server_at(self, url: str) -> Place:
        """The server of this address; see `find_server`."""
        return find_server(self.data, url, self.environ)

    @property
    def place_key(self) -> str:
        """A short name of the server that this run talks to, for files about it."""
        return hashlib.sha256(self.place.url.encode()).hexdigest()[:16]

    @cached_property
    def client(self) -> Client:
        """Signed in to the server."""
        return Client(self.place.url, choose_token(self.place, os.environ, time.time), verify=self.place.ca)

    @cached_property
    def subscription(self) -> str:
        """Id of the subscription that is meant: the named one, else the server's default, else the only one."""
        found = list(self.client.list("/subscriptions"))
        wanted = (self.asked_subscription or self.place.subscription).lower()
        matching = [one for one in found if not wanted or wanted in (one["subscriptionId"].lower(), one["displayName"].lower())]
        if len(matching) == 1:
            return str(matching[0]["subscriptionId"])
        if not found:
            told = "You may see no subscription here, for nobody has given you a role in one. Ask whoever owns this installation to: "
            me = self.client.get(ME)["value"][0]["name"]
            told += f"isthmus role assign --principal {me} --role Reader"
            raise ArmError("NoSubscription", told, status=404)
        names = ", ".join(f"{one['displayName']} ({one['subscriptionId']})" for one in found)
        problem = f"'{self.asked_subscription}' is not one subscription" if wanted else "It is not clear which subscription is meant"
        raise ArmError("SubscriptionNotFound", f"{problem}. There are: {names}. Name one with --subscription.", status=404)

    @property
    def root(self) -> str:
        """`/subscriptions/{id}`."""
        return f"/subscriptions/{self.subscription}"

    def say(self, text: str) -> None:
        """A remark beside the result, on standard error."""
        console(errors=True).print(clean(text), soft_wrap=True)

    def reconnect(self) -> None:
        """Look for the server anew at the next call: it may have come back elsewhere."""
        if "client" in vars(self):
            self.client.close()
        for name in ("client", "place"):
            vars(self).pop(name, None)

    @contextmanager
    def anew(self) -> Iterator[Session]:
        """The same options, and whatever holds now: server, sign-in, connections. For programs that outlive a sign-in."""
        other = replace(self)
        try:
            yield other
        finally:
            if "client" in vars(other):
                other.client.close()

    def progress(self, text: str) -> Progress:
        """A line that lives while something runs."""
        return Progress(text)


def verb(
    app: typer.Typer,
    name: str,
    *,
    examples: Mapping[str, str],
    help: str = "",
    complete: Mapping[str, Callable[..., Any]] | None = None,
    codes: Mapping[int, str] | None = None,
    environment: Mapping[str, str] | None = None,
    more_arguments: bool = False,
) -> Callable[[Callable[Concatenate[Session, P], None]], Any]:
    """Register a function as a command. It gets a Session first; the options of every command are added, errors become one line.

    `examples` are command lines (without `isthmus`) and what each does: help, reference and manual show them. `help` replaces the
    docstring, `complete` gives completers by parameter, `codes` what exit codes mean here where that is not what they mean everywhere,
    `environment` what variables mean to this command besides those of every command.
    """
    settings = {"allow_extra_args": True, "ignore_unknown_options": True} if more_arguments else None

    def register(function: Callable[Concatenate[Session, P], None]) -> Any:
        @functools.wraps(function)
        def run(ctx: typer.Context, **given: Any) -> None:
            mine = {option: given.pop(option) for option in _GLOBAL}
            _run(ctx, function, mine, given)

        signature = inspect.signature(function, eval_str=True)
        own = [_completed(one, complete or {}) for one in signature.parameters.values() if one.name != "session"]
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        shared = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=False if option == "debug" else None, annotation=kind)
            for option, kind in _GLOBAL.items()
        ]
        keyworded = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([context, *keyworded, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *own, *shared)}
        del run.__wrapped__
        run.__dict__.update(examples=dict(examples), codes=dict(codes or {}), environment=dict(environment or {}))
        app.command(name, context_settings=settings, help=help or None, epilog=_epilog(examples))(run)
        return function

    return register


def _run(ctx: typer.Context, function: Callable[..., None], mine: dict[str, Any], given: dict[str, Any]) -> None:
    """The border of a command: whatever it raises for people is printed as one line."""
    session = None
    try:
        session = session_of(ctx, mine)
        function(session, **given)
    except ArmError as error:
        _fail(error, debug=session.debug if session else mine["debug"], principal=_principal(session, error))
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        _fail(ArmError("SystemError", f"{error.strerror or error}{where}."), debug=session.debug if session else mine["debug"])
    finally:
        if session is not None and "client" in vars(session):
            session.client.close()


def _principal(session: Session | None, error: ArmError) -> str:
    """Who was refused, for the line that an owner runs; empty where the server does not tell."""
    if error.code != "AuthorizationFailed" or session is None or "client" not in vars(session):
        return ""
    with suppress(ArmError, LookupError):
        return str(session.client.get(ME)["value"][0]["name"])
    return ""


def _completed(parameter: inspect.Parameter, complete: Mapping[str, Callable[..., Any]]) -> inspect.Parameter:
    """The parameter with its completer. Declarations are shared between commands, so a copy is changed."""
    if parameter.name not in complete or get_origin(parameter.annotation) is not Annotated:
        return parameter
    kind, declared = get_args(parameter.annotation)
    changed = copy.copy(declared)
    changed.autocompletion = complete[parameter.name]
    return parameter.replace(annotation=Annotated[kind, changed])


def _epilog(examples: Mapping[str, str]) -> str:
    """Examples as the end of a help page; the mark keeps their lines as they are."""
    lines = [line for run, meaning in examples.items() for line in (f"  {meaning}", f"    isthmus {run}")]
    return "\n".join(("\b", "Examples:", *lines))


def session_of(ctx: typer.Context, mine: dict[str, Any]) -> Session:
    """The session from the options before and after the command; those after it win."""
    return session_from({**(ctx.find_root().obj or {}), **written(ctx, mine)}, arguments=tuple(ctx.args))


def written(ctx: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that stand in the line itself: what the environment says counts less than an option before the command."""
    sources = {option: ctx.get_parameter_source(option) for option in given}
    return {option: value for option, value in given.items() if (source := sources[option]) is not None and source.name == "COMMANDLINE"}


def session_from(given: Mapping[str, Any], *, arguments: tuple[str, ...] = ()) -> Session:
    """A session of options by their names."""
    data, ca = given.get("data") or Settings.model_fields["data"].default, given.get("ca")
    return Session(
        output=given.get("output") or Output.TABLE,
        asked_subscription=given.get("subscription") or "",
        data=Path(data).expanduser().absolute(),
        url=given.get("url") or "",
        ca=Path(ca).expanduser().absolute() if ca else None,
        debug=bool(given.get("debug")),
        arguments=arguments,
    )


def settings_in_effect() -> Settings:
    """The settings of this environment; ArmError `InvalidSetting` that names the variable."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"ISTHMUS_{str(problem['loc'][0]).upper()}: {sentence(problem)}" for problem in error.errors(include_input=False)]
        raise ArmError("InvalidSetting", f"{' '.join(problems)} Run 'isthmus settings' for what is allowed.") from error


def remember(ctx: typer.Context, **options: Any) -> None:
    """The options that stand before the command."""
    ctx.obj = {name: value for name, value in options.items() if value not in (None, False)}


remember.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=False if option == "debug" else None, annotation=kind)
            for option, kind in _GLOBAL.items()
        ),
    ]
)
remember.__annotations__ = {"ctx": typer.Context, **_GLOBAL}


def _fail(error: ArmError, *, debug: bool, principal: str = "") -> None:
    if debug:
        console(errors=True).print_exception()
    print_error(error, principal=principal)
    raise typer.Exit(1)
