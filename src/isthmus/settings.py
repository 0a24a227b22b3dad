"""Every setting: default, help, environment variable (`ISTHMUS_` and the name in capitals). The reference page derives from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

# A bucket's own host or its path; CloudFormation reads templates from S3 alone.
_S3 = r"([a-z0-9.-]+\.)?s3[.-]([a-z0-9-]+\.)?(dualstack\.[a-z0-9-]+\.)?amazonaws\.com(\.cn)?"
# Tokens go there, so it is https; loopback may be without.
_ORIGIN = r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
_DOMAIN = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_TEMPLATE_URL = rf"^(https://{_S3}/[A-Za-z0-9._~/-]*\{{guid\}}[A-Za-z0-9._~/-]*)?$"


class Settings(BaseSettings):
    """What an operator can set. AWS is reached by AWS's own settings (AWS_ENDPOINT_URL, AWS_CA_BUNDLE), which are not repeated here."""

    model_config = SettingsConfigDict(env_prefix="ISTHMUS_", env_ignore_empty=True, extra="ignore", frozen=True)

    data: Path = Field(default=Path("~/.local/share/isthmus"), description="Folder for the database and the keys.")
    keys_folder: Path | None = Field(
        default=None,
        description="Folder of the signing keys and the CA. Unset: `keys` in the data folder. Processes that share a database share it.",
    )
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
    issuer_address: Annotated[str, Field(pattern=r"^(self|[A-Za-z0-9.-]+:[0-9]{1,5})?$")] = Field(
        default="",
        description="Host:port where checks of ours look for the issuer's documents instead of where its name leads, trusting our own CA "
        "too ('self': this very server): for a lab, or a name that leads elsewhere in your network. Empty: they look as AWS does.",
    )
    template_url: Annotated[str, Field(pattern=_TEMPLATE_URL)] = Field(
        default="",
        description="https URL of a template in S3, `{guid}` standing for the connector's: where you put templates for one-click launch. "
        "Empty: no launch links.",
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
    session_idle_minutes: Annotated[float, Field(ge=5, le=1440)] = Field(
        default=60.0, description="Minutes without use after which a person is signed out of the portal."
    )
    session_hours: Annotated[float, Field(gt=0, le=168)] = Field(
        default=12.0, description="Hours after the sign-in to the portal after which a person signs in again, whatever happened since."
    )
    oidc_issuer: str = Field(
        default="", description="Issuer of the OpenID provider that people sign in with, exactly as it names itself. Empty: links only."
    )
    oidc_client_id: str = Field(default="", description="Client id under which that provider knows this installation.")
    oidc_name: str = Field(default="", description="Label of the button that leads to it. Empty: the provider's host.")
    oidc_scopes: str = Field(default="openid profile email", description="Scopes that are asked for; 'openid' is among them.")
    oidc_client_auth: Literal["none", "private_key_jwt", "client_secret"] = Field(
        default="none",
        description="How we prove to it that we are that client: 'none' (public client, PKCE alone), 'private_key_jwt' (signed with our "
        "own keys, published under <public_url>/<tenant>/discovery/v2.0/keys) or 'client_secret'.",
    )
    oidc_client_secret_file: Path | None = Field(
        default=None, description="File with the client secret, read at each use and stored nowhere; for 'client_secret' only."
    )
    oidc_ca_file: Path | None = Field(
        default=None, description="File (PEM) with CA certificates to trust for that provider, besides the system's."
    )
    run_as_domains: Annotated[str, Field(pattern=rf"^({_DOMAIN}(, ?{_DOMAIN})*)?$")] = Field(
        default="",
        description="Mail domains, with commas between, of people whose shells on machines run as what their address begins with. Empty: "
        "every domain, of people who sign in with `oidc_issuer`, unless it says that the address is not verified. Name them where guests "
        "or strangers can sign in: without, whoever has alice@elsewhere is alice.",
    )
    notice_url_file: Path | None = Field(
        default=None,
        description="File with the https URL to which requests for roles, decisions about them and broken glass are told by a signed POST, "
        "as incoming webhooks of chats take it; read at each use, for such a URL is a secret. Unset: nobody is told.",
    )
    group_source: Literal["token", "directory", "graph"] = Field(
        default="token",
        description="Who tells in which groups people are, when they take roles in accounts: 'token' (their sign-in, as old as that), "
        "'directory' (what was provisioned by SCIM) or 'graph' (Entra itself, asked for every session).",
    )
    graph_tenant_id: Annotated[str, Field(pattern=_GUID)] | None = Field(
        default=None, description="Entra tenant that is asked by Microsoft Graph. Unset: Graph is not used."
    )
    graph_client_id: Annotated[str, Field(pattern=_GUID)] | None = Field(
        default=None, description="Application of that tenant that Isthmus is there; its federated credential trusts `issuer_url`."
    )
    graph_url: Annotated[str, Field(pattern=rf"^({_ORIGIN})$")] = Field(
        default="https://graph.microsoft.com", description="Where Graph is; another in sovereign clouds (https://graph.microsoft.us)."
    )
    graph_login_url: Annotated[str, Field(pattern=rf"^({_ORIGIN})$")] = Field(
        default="https://login.microsoftonline.com", description="Where that cloud's token endpoint is (https://login.microsoftonline.us)."
    )
    graph_poll_seconds: Literal[10, 15, 20, 30] = Field(
        default=15, description="Seconds between two questions to Graph about who left groups, or was disabled or deleted."
    )
    graph_notification_url: Annotated[str, Field(pattern=rf"^({_ORIGIN})?$")] = Field(
        default="", description="https origin under which Graph reaches this server to tell changes at once. Empty: it is asked only."
    )
    graph_sign_in_logs: bool = Field(
        default=False, description="Whether sign-in logs are read by Graph and joined to what people did (needs AuditLog.Read.All and P1)."
    )
    ssf_issuer: str = Field(
        default="",
        description="Issuer of security events (SSF, CAEP, RISC) that end people's sessions, as it names itself. Empty: none.",
    )
    ssf_jwks_url: Annotated[str, Field(pattern=r"^(https://[^\s?#@]+)?$")] = Field(
        default="", description="https URL of that transmitter's key set (`jwks_uri` of its `/.well-known/ssf-configuration`)."
    )
    ssf_audience: str = Field(default="", description="Audience that its tokens name. Empty: the public URL.")
    keep_event_days: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Days for which the history of instances, and instances that were removed, are kept."
    )
    keep_trail_days: Annotated[float, Field(ge=120)] = Field(
        default=400.0,
        description="Days for which events of the accounts' trails, ended sessions and grants, decided requests, and the sign-ins behind "
        "them are kept. Events go only up to a checkpoint that the second store (ISTHMUS_AUDIT_ANCHOR) has; without one they all stay.",
    )
    audit_anchor: Annotated[str, Field(pattern=r"^(file:///[^\x00-\x1f?#]+)?$")] = Field(
        default="",
        description="Second store of the audit log's signed checkpoints: file:///folder, best a mount of another cloud's immutable "
        "storage. Empty: they stay in the database alone, and who changes it can change them too.",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @property
    def data_folder(self) -> Path:
        """The data folder, absolute."""
        return self.data.expanduser().absolute()

    @property
    def keys(self) -> Path:
        """The key folder in effect, absolute."""
        return self.keys_folder.expanduser().absolute() if self.keys_folder else self.data_folder / "keys"

    @property
    def database(self) -> str:
        """The database URL in effect."""
        return self.database_url or f"sqlite:///{self.data_folder / 'isthmus.db'}"
