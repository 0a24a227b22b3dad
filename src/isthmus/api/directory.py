"""Sign-in over HTTP: metadata, discovery, keys, the endpoints of OAuth, single-use links, and the documents of the issuer for AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from isthmus.api.entries import SignIn
from isthmus.api.wire import Incoming, Reply
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.engine import Engine
from isthmus.identity import documents, native
from isthmus.identity.issuer import Issuer
from isthmus.identity.oauth import OAuthError, bad_request
from isthmus.identity.tokens import TokenEndpoint

_WAITING = frozenset({"authorization_pending", "slow_down"})


class Directory:
    """Handlers of everything that needs no token."""

    def __init__(
        self,
        *,
        engine: Engine,
        refusals: Refusals,
        tokens: TokenEndpoint,
        api: Issuer,
        aws: Issuer,
        public_url: str,
        tenant: str,
        sign_in: SignIn,
        new_guid: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._refusals = refusals
        self._tokens = tokens
        self._api = api
        self._aws = aws
        self._public_url = public_url
        self._tenant = tenant
        self._sign_in = sign_in
        self._new_guid = new_guid

    @property
    def issuer_paths(self) -> tuple[str, str]:
        """Paths of the AWS issuer's discovery document and keys."""
        prefix = urlsplit(self._aws.url).path
        keys = urlsplit(str(self._aws.discovery()["jwks_uri"])).path
        return f"{prefix}/.well-known/openid-configuration", keys

    def metadata(self, incoming: Incoming) -> Reply:
        """`/metadata/endpoints`."""
        return Reply(body=documents.cloud_metadata(self._public_url, incoming.query.get("api-version", "")))

    def discovery(self, incoming: Incoming) -> Reply:
        """`/{tenant}/v2.0/.well-known/openid-configuration`."""
        asked = incoming.path.strip("/").split("/")[0]
        try:
            return Reply(body=documents.openid_configuration(self._public_url, self._tenant, asked=asked))
        except LookupError as error:
            raise ArmError("TenantNotFound", f"There is no tenant '{asked[:64]}' here.", status=404) from error

    def keys(self, _incoming: Incoming) -> Reply:
        """Public keys of our API tokens."""
        return Reply(body=self._api.jwks())

    def issuer_discovery(self, _incoming: Incoming) -> Reply:
        """Discovery document of the issuer that AWS trusts."""
        return Reply(body=self._aws.discovery())

    def issuer_keys(self, _incoming: Incoming) -> Reply:
        """Public keys of the issuer that AWS trusts."""
        return Reply(body=self._aws.jwks())

    def token(self, incoming: Incoming) -> Reply:
        """The token endpoint: clients by their proofs, the command line by its codes and refresh tokens."""

        def answer(form: Mapping[str, str], asked: str) -> Reply:
            given = self._sign_in.exchange.answer(form, asked=asked, correlation=incoming.correlation)
            return Reply(body=given if given is not None else self._tokens.answer(form, asked=asked))

        return self._in_oauths_form(incoming, "token", lambda asked: answer(_form(incoming), asked))

    def authorize(self, incoming: Incoming) -> Reply:
        """`/{tenant}/oauth2/v2.0/authorize`: on to the page that asks the person, or back to the client with what is wrong."""

        def answer(asked: str) -> Reply:
            pairs = parse_qsl(incoming.raw_query, keep_blank_values=True)
            to = self._sign_in.consents.page_of(pairs, asked=asked, correlation=incoming.correlation)
            return Reply(status=303, headers={"Location": to, "Referrer-Policy": "no-referrer"})

        return self._in_oauths_form(incoming, "authorize", answer)

    def device_code(self, incoming: Incoming) -> Reply:
        """`/{tenant}/oauth2/v2.0/devicecode` (RFC 8628)."""

        def answer(asked: str) -> Reply:
            return Reply(body=self._sign_in.exchange.begin_device(_form(incoming), asked=asked, address=incoming.address))

        return self._in_oauths_form(incoming, "devicecode", answer)

    def revoke(self, incoming: Incoming) -> Reply:
        """`/{tenant}/oauth2/v2.0/revoke` (RFC 7009): the same answer whether the token was known or not."""

        def answer(asked: str) -> Reply:
            self._sign_in.exchange.revoke(_form(incoming), asked=asked, correlation=incoming.correlation)
            return Reply(body={})

        return self._in_oauths_form(incoming, "revoke", answer)

    def _in_oauths_form(self, incoming: Incoming, action: str, answer: Callable[[str], Reply]) -> Reply:
        """Errors have OAuth's shape (RFC 6749), not ARM's. Refusals are counted in the audit chain; that somebody waits is none."""
        try:
            return answer(incoming.path.strip("/").split("/")[0])
        except OAuthError as error:
            refused = ArmError(error.error, str(error), status=error.status)
            if error.error not in _WAITING:
                actor = Actor(id="anonymous", kind="Application", correlation=incoming.correlation)
                self._refusals.refuse(actor, action, self._tenant, refused)
            body = error.body(trace_id=self._new_guid(), correlation_id=incoming.correlation, at=self._engine.clock())
            return Reply(status=error.status, body=body)

    def sign_in(self, incoming: Incoming) -> Reply:
        """`POST /sign-in`: a single-use code becomes a token of the administrator. A used, unknown or late code is refused."""
        code = incoming.object().get("code")
        if not isinstance(code, str):
            raise invalid("The body needs the code of a sign-in link.", target="code")
        person = self._sign_in.link.use(code, correlation=incoming.correlation)
        return Reply(body=self._tokens.for_person(person.object_id, person.name))


def _form(incoming: Incoming) -> dict[str, str]:
    if "application/x-www-form-urlencoded" not in incoming.headers.get("content-type", ""):
        raise bad_request("This endpoint takes application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(incoming.body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=50)
    except ValueError as error:
        raise bad_request("The form could not be read.") from error
    return native.once(pairs)
