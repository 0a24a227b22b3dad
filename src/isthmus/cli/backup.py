"""`isthmus backup` and `isthmus restore`: one archive that holds an installation."""

from __future__ import annotations

import os
import stat
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.formats import Output
from isthmus.cli.output import print_item
from isthmus.cli.session import Session, settings_in_effect

_PASSPHRASE_FILE = typer.Option("--passphrase-file", help="File with the passphrase that the keys are sealed with. Unset: asked for.")


def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(help="Archive to write; it must not exist.")],
    *,
    passphrase_file: Annotated[Path | None, _PASSPHRASE_FILE] = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the keys out: a restore then makes new ones.")] = False,
) -> None:
    """Write database and keys into one archive, while the server goes on."""
    if without_keys and passphrase_file is not None:
        raise ArmError("ContradictingOptions", "Without keys there is nothing to seal: name --without-keys or --passphrase-file.")
    passphrase = None if without_keys else _passphrase(passphrase_file, confirm=True)
    settings = settings_in_effect().model_copy(update={"data": session.data})
    with session.progress("Backing up") as progress:
        made = import_module("isthmus.transfer").back_up(settings, file.expanduser().absolute(), passphrase, progress.say)
    if session.output is not Output.TABLE:
        print_item(made, session.output)
    sealed = "The keys are in it, sealed: without the passphrase they are lost." if made["keys"] else "The keys are not in it."
    session.say(f"Wrote {made['file']}: {made['rows']} rows, {made['bytes']} bytes. {sealed}")


def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(help="Archive that 'isthmus backup' wrote.")],
    *,
    passphrase_file: Annotated[Path | None, _PASSPHRASE_FILE] = None,
) -> None:
    """Bring an archive back, to an empty data folder and an empty database. Whatever is refused changes nothing."""
    settings = settings_in_effect().model_copy(update={"data": session.data})
    archive, transfer = file.expanduser().absolute(), import_module("isthmus.transfer")
    passphrase = _passphrase(passphrase_file, confirm=False) if transfer.has_keys(archive) else ""
    with session.progress("Restoring") as progress:
        came = transfer.restore(settings, archive, passphrase, progress.say)
    if session.output is not Output.TABLE:
        print_item(came, session.output)
    session.say(f"Restored {came['rows']} rows to {came['database']}. Start the server with 'isthmus serve'.")
    if came["newKeys"]:
        session.say("The archive holds no keys: new ones are made. Publish the issuer's documents again and give clients the new CA.")


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        if stat.S_IMODE(os.stat(file).st_mode) & 0o077:
            raise ArmError(
                "UnsafePassphraseFile", f"Other users of this computer may read '{file}'. Run: chmod 600 '{file}'", target=str(file)
            )
        return file.read_text().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ArmError("NoPassphrase", "There is no terminal to ask for the passphrase: name a file with --passphrase-file.")
    answer: str = typer.prompt("Passphrase for the keys", hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
