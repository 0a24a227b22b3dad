"""A served portal per file of tests, a browser for the whole run, and windows that are signed in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, sync_playwright

from isthmus.app import build
from isthmus.client import Client
from isthmus.identity import clients, links
from isthmus.identity.people import Person
from isthmus.keys import OPERATOR
from isthmus.settings import Settings
from tests.api.conftest import PORT, Api
from tests.contract.server import Server, denying_aws, first_keys, serving
from tests.portal.browser import Look, launch, looking
from tests.portal.test_frame import Browser as Sender
from tests.portal.walker import Walker, call
from tests.support.databases import Databases


@dataclass(frozen=True)
class Site:
    """A served portal. `client` calls its API as the administrator, `secret` is the administrator's session."""

    server: Server
    client: Client
    secret: str

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    @property
    def root(self) -> str:
        """The id of its subscription."""
        return f"/subscriptions/{self.server.subscription}"

    def link(self) -> str:
        """A new sign-in link, as the owner of the data folder makes it."""
        engine = self.server.app.engine
        with engine.store.begin() as connection:
            owner = clients.get_client(connection, OPERATOR)
            return f"{self.url}/sign-in#{links.make(connection, engine.clock, by=owner.object_id)}"

    def sign_in(self, object_id: str, name: str = "Somebody") -> str:
        """A session of somebody."""
        return self.server.app.sign_in.sessions.open(Person(object_id=object_id, name=name), provider="")


def site_of(server: Server) -> Site:
    """The portal of a server, with the administrator signed in."""
    sessions, admin = server.app.sign_in.sessions, server.app.installation.admin
    secret = sessions.open(Person(object_id=admin, name="Administrator"), provider="")
    session = sessions.find(secret)
    assert session is not None
    return Site(server=server, client=Client(server.url, lambda: sessions.token(session), verify=[server.ca]), secret=secret)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Site]:
    """A portal on SQLite, with an AWS behind it whose account has not deployed the template."""
    url = databases.fresh_sqlite(tmp_path_factory.mktemp("database") / "isthmus.db")
    with denying_aws() as aws, serving(tmp_path_factory.mktemp("server") / "data", url, aws) as server:
        yield site_of(server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of one file: while it is there, a loop belongs to this thread, and other files want loops of their own."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


Window = Callable[..., AbstractContextManager[Look]]


@pytest.fixture
def window(browser: Browser, site: Site) -> Window:
    """Opens windows on the site: `with window() as look:`; as the administrator unless `secret` says otherwise."""

    def open_window(*, secret: str | None = None, **more: object) -> AbstractContextManager[Look]:
        return looking(browser, site.url, site.secret if secret is None else secret, **more)  # type: ignore[arg-type]

    return open_window


@pytest.fixture(scope="module")
def portal_api(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Api]:
    """The application of one file of tests that need no browser; templates lie in a bucket."""
    folder = tmp_path_factory.mktemp("portal")
    database = databases.fresh_sqlite(folder / "isthmus.db")
    bucket = "https://templates.s3.eu-west-1.amazonaws.com/{guid}.json"
    shutil.copytree(first_keys(), folder / "data" / "keys")
    app = build(Settings(data=folder / "data", database_url=database, template_url=bucket), port=PORT, environ={})
    yield Api(app, folder / "data")
    app.close()


@pytest.fixture
def walker(portal_api: Api) -> Iterator[Walker]:
    """The administrator at the start of the wizard; drafts and connectors go afterwards."""
    browser = Sender(portal_api)
    browser.sign_in()
    yield Walker.of(browser)
    for path in ("providers/Isthmus.Connect/drafts", "providers/Microsoft.HybridConnectivity/publicCloudConnectors"):
        for one in call(portal_api, "GET", f"/subscriptions/{portal_api.subscription}/{path}").json()["value"]:
            call(portal_api, "DELETE", one["id"])
