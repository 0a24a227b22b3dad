"""`isthmus issuer`: the public documents of the issuer that AWS trusts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_item
from isthmus.cli.session import Session, settings_in_effect, verb

app = new_app("The issuer that AWS trusts.")

_DISCOVERY = ".well-known/openid-configuration"


@verb(app, "export", examples={"issuer export public": "Write the documents below the folder 'public'"})
def export(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="Folder to write to; publish what is in it under the issuer's URL.")] = Path("issuer"),
) -> None:
    """Write the discovery document and the public keys, to be published where AWS finds them."""
    issuer = (session.place.issuer or settings_in_effect().issuer_url).rstrip("/")
    prefix = urlsplit(issuer).path
    discovery = session.client.document(f"{prefix}/{_DISCOVERY}")
    if discovery["issuer"] != issuer:
        raise ArmError("IssuerMismatch", f"The server's issuer is '{discovery['issuer']}', not '{issuer}'. Set ISTHMUS_ISSUER_URL to that.")
    keys_path = urlsplit(discovery["jwks_uri"]).path
    documents = {_DISCOVERY: discovery, keys_path.removeprefix(prefix).lstrip("/"): session.client.document(keys_path)}
    for name, document in documents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")
        session.say(f"Wrote {file}")
    session.say(f"Publish them so that {issuer}/{_DISCOVERY} answers, with content type application/json. Repeat after a key rotation.")
    if not session.output.is_for_people:
        print_item({"issuer": issuer, "files": [str(folder / name) for name in documents]}, session.output)
