"""A real database, a real application, a clock that stands still; nothing is patched."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from booking import db as database
from booking import practice_file, worker
from booking.clock import SettableClock
from booking.mailer import MemoryMailer
from booking.models import Access, Account, Appointment, Client, ClientKind, Relation
from booking.operations import signing_in
from booking.settings import Environment, Settings
from tests.builders import NOW, confirmed_session

PRACTICE = Path(__file__).parent / "practice.toml"


def settings_in(folder: Path) -> Settings:
    return Settings(
        environment=Environment.DEMO,
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'citas.db'}",
        secret_key="test-" * 10,
        base_url="http://localhost",
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with the test practice, copied for each test."""
    folder = tmp_path_factory.mktemp("prepared")
    handle = database.connect(settings_in(folder))
    database.migrate()
    practice_file.load(PRACTICE, now=NOW)
    handle.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    handle.close()
    return folder / "citas.db"


@pytest.fixture
def settings(tmp_path: Path, prepared: Path) -> Settings:
    shutil.copy(prepared, tmp_path / "citas.db")
    return settings_in(tmp_path)


@pytest.fixture
def db(settings: Settings) -> Iterator[None]:
    """The test practice, for tests of the domain."""
    handle = database.connect(settings)
    yield
    handle.close()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture
def mailer() -> MemoryMailer:
    return MemoryMailer()


@pytest.fixture
def app(settings: Settings, clock: SettableClock, mailer: MemoryMailer) -> Iterator[Flask]:
    application = create_app(settings, clock=clock, mailer=mailer)
    application.testing = True
    yield application
    database.database.obj.close()


@pytest.fixture
def deliver(
    app: Flask, clock: SettableClock, mailer: MemoryMailer, settings: Settings
) -> Callable[[], MemoryMailer]:
    """Let the worker do one round, and look at what was sent."""

    def run() -> MemoryMailer:
        worker.tick(clock, mailer, settings)
        return mailer

    return run


@pytest.fixture
def visitor(app: Flask, clock: SettableClock) -> Callable[..., FlaskClient]:
    """A browser without JavaScript: `visitor()` is anonymous, `visitor(account)` is signed in."""

    def open_browser(account: Account | None = None) -> FlaskClient:
        browser = app.test_client()
        browser.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
        if account is not None:
            signed_in = signing_in.open_session(account, now=clock.now())
            with browser.session_transaction() as cookie:
                cookie["_user_id"] = signed_in.token
                cookie["_fresh"] = True
        return browser

    return open_browser


def make_account(name: str, email: str, *, known: bool = True, **columns: object) -> Account:
    """An account and its holder as a client, who is known to the practice unless said otherwise."""
    account = Account.create(email=email, name=name, created_at=NOW, consented_at=NOW, **columns)
    client = Client.create(
        name=name, email=email, created_at=NOW, known_since=NOW if known else None
    )
    Access.create(account=account, client=client, relation=Relation.SELF.value)
    return account


def add_minor(account: Account, name: str) -> Client:
    minor = Client.create(kind=ClientKind.MINOR.value, name=name, created_at=NOW, known_since=NOW)
    Access.create(account=account, client=minor, relation=Relation.GUARDIAN.value)
    return minor


@pytest.fixture
def ana(app: Flask) -> Account:
    """A client whom the practice knows."""
    return make_account("Ana Ruiz Peña", "ana@example.com")


@pytest.fixture
def bruno(app: Flask) -> Account:
    """Another one, who has no business with what is Ana's."""
    return make_account("Bruno Díaz Muñoz", "bruno@example.com")


@pytest.fixture
def ines(app: Flask) -> Account:
    """The clinician of most tests."""
    return Account.get(Account.email == "ines@alameda.example")


@pytest.fixture
def oscar(app: Flask) -> Account:
    """Another clinician."""
    return Account.get(Account.email == "oscar@alameda.example")


@pytest.fixture
def manager(app: Flask) -> Account:
    return Account.get(Account.manager)


@pytest.fixture
def confirmed(app: Flask, ana: Account, ines: Account) -> Appointment:
    """Ana's session with Inés on Thursday at ten."""
    return confirmed_session(ana, ines)
