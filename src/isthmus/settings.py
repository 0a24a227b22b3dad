"""Every setting: default, help, environment variable (`ISTHMUS_` and the name in capitals). The reference page derives from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class Settings(BaseSettings):
    """What an operator can set. AWS is reached by AWS's own settings (AWS_ENDPOINT_URL, AWS_CA_BUNDLE), which are not repeated here."""

    model_config = SettingsConfigDict(env_prefix="ISTHMUS_", env_ignore_empty=True, extra="ignore", frozen=True)

    data: Path = Field(default=Path("~/.local/share/isthmus"), description="Folder for the database and the keys.")
    database_url: str = Field(
        default="", description="Database: sqlite:///path or postgresql://user@host/name. Empty: SQLite in the data folder."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on. Loopback unless you know why.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8443, description="Port of API, issuer and metrics. A taken port is replaced by a free one, which is printed."
    )
    public_url: str = Field(
        default="", description="https URL under which clients reach this server. Empty: https://localhost and the port that is used."
    )
    issuer_url: str = Field(
        default="https://issuer.isthmus.test",
        description="https URL, without a port, under which AWS finds the issuer's documents (`isthmus issuer export` writes them).",
    )
    tenant_id: Annotated[str, Field(pattern=_GUID)] | None = Field(default=None, description="Tenant id. Unset: minted at first start.")
    subscription_id: Annotated[str, Field(pattern=_GUID)] | None = Field(
        default=None, description="Id of the default subscription. Unset: minted at first start."
    )
    database_wait_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        default=15.0, description="How long a write waits for a locked database before it is refused with 503."
    )
    keep_days: Annotated[float, Field(gt=0)] = Field(
        default=7.0, description="Days for which finished jobs, operations and scans are kept; of each solution the newest 50 scans stay."
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @property
    def data_folder(self) -> Path:
        """The data folder, absolute."""
        return self.data.expanduser().absolute()

    @property
    def database(self) -> str:
        """The database URL in effect."""
        return self.database_url or f"sqlite:///{self.data_folder / 'isthmus.db'}"
