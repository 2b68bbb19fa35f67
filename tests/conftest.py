"""A real database, a real application, a clock that stands still; nothing is patched."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from booking import db as database
from booking import invariants, practice_file, worker
from booking.clock import Clock, SettableClock
from booking.mailer import Mailer, MemoryMailer
from booking.models import Access, Account, Appointment, Client, ClientKind, Relation
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.settings import Environment, Settings
from tests.books import Books, PostgresqlBooks, SqliteBooks
from tests.builders import NOW, confirmed_session

# Little that tests make is garbage in cycles: looking for it as often as usual is a tenth of a run.
gc.set_threshold(100_000, 50, 100)

PRACTICE = Path(__file__).parents[1] / "booking" / "qa" / "alameda.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="what the books of the tests are kept in; with postgresql only tests with a book run",
    )


# What these prove is the same on every database: what pages and mails say once rows are
# read, what a search finds, that a test would notice. On PostgreSQL they are long tests;
# whatever is not listed runs on both each time.
SAME_ON_BOTH = (
    "tests/proof/test_promises.py",
    "tests/test_availability.py",
    "tests/test_demo.py",
    "tests/test_history.py::test_a_change_that_was_rewritten_is_found",
    "tests/test_messages.py",
    "tests/test_model.py::test_a_guard_that_is_missing_is_noticed",
    "tests/test_planner.py",
    "tests/test_practice_file.py",
    "tests/test_qa.py::test_a_scenario_is_a_sound_book_that_holds_what_its_name_says",
    "tests/test_simulation.py",
    "tests/web/",
)
# But these ask every page and claim every plan, so that each query is put to PostgreSQL too.
ON_BOTH = (
    "tests/test_planner.py::test_a_queued_plan_is_searched_and_every_session_gets_slots",
    "tests/test_planner.py::test_two_who_approve_the_same_at_once",
    "tests/test_planner.py::test_two_workers_never_have_the_same_plan",
    "tests/test_planner.py::test_workers_that_claim_at_the_same_moment_get_a_plan_each",
    "tests/web/test_fuzz.py::test_a_share_of_all_hostile_requests_gets_an_answer",
    "tests/web/test_matrix.py::test_every_cell_that_matters_is_as_declared",
    "tests/web/test_matrix.py::test_what_a_query_or_a_form_names_is_nobodys",
)


# None of these has a book.
WITHOUT_BOOKS = "tests/solver/"


def only_on_one(item: pytest.Item) -> bool:
    return item.nodeid.startswith(SAME_ON_BOTH) and not item.nodeid.startswith(ON_BOTH)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """On PostgreSQL, do not even read what would be left out as a whole: that took seconds."""
    if config.getoption("--database") == "sqlite" or collection_path.suffix != ".py":
        return None
    name = collection_path.relative_to(config.rootpath).as_posix()
    same = name.startswith(SAME_ON_BOTH) and not any(each.startswith(name) for each in ON_BOTH)
    short = config.getoption("markexpr") == "not long"
    return True if name.startswith(WITHOUT_BOOKS) or (same and short) else None


@pytest.hookimpl(tryfirst=True)  # Before the long ones are left out.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL, what has no book or is about SQLite itself would prove nothing new."""
    if config.getoption("--database") == "sqlite":
        left_out = [item for item in items if item.get_closest_marker("postgresql")]
    else:
        left_out = [
            item
            for item in items
            if "books" not in getattr(item, "fixturenames", ()) or item.get_closest_marker("sqlite")
        ]
        for item in filter(only_on_one, items):
            item.add_marker(pytest.mark.long)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("--database") == "sqlite":
        return "books: SQLite"
    return f"books: PostgreSQL; long tests there, for `-m ''`: {', '.join(SAME_ON_BOTH)}"


@pytest.fixture(scope="session")
def books(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Books]:
    """Where the tests' books are kept: files, or a PostgreSQL server of this run's own."""
    if request.config.getoption("--database") == "sqlite":
        yield SqliteBooks()
    else:
        with PostgresqlBooks.serving() as kept:
            yield kept


@pytest.fixture(scope="session")
def prepared(books: Books, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A migrated book with the test practice, copied for each test."""
    settings = books.new(tmp_path_factory.mktemp("prepared"))
    handle = database.connect(settings)
    database.migrate()
    practice_file.load(PRACTICE, now=NOW)
    books.close(handle)
    return settings


@pytest.fixture
def settings(books: Books, tmp_path: Path, prepared: Settings) -> Iterator[Settings]:
    copy = books.copy(prepared, tmp_path)
    yield copy
    books.drop(copy)


@pytest.fixture
def db(books: Books, settings: Settings) -> Iterator[None]:
    """The test practice, for tests of the domain."""
    handle = database.connect(settings)
    yield
    books.close(handle)


@pytest.fixture
def book_in_order(db: None) -> Iterator[None]:
    """Whatever a test does, no invariant is broken at its end."""
    yield
    assert invariants.violations() == {}


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture
def mailer() -> MemoryMailer:
    return MemoryMailer()


class Portals:
    """One application for each set of views: to compile its addresses takes longer than a test.

    What an application keeps of the book that it serves is in its extensions alone.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Environment, bool], Flask] = {}

    def serving(self, settings: Settings, clock: Clock, mailer: Mailer) -> Flask:
        views = (settings.environment, settings.qa)
        if views not in self._made:
            self._made[views] = create_app(settings)
            self._made[views].testing = True
        database.connect(settings)
        application = self._made[views]
        application.extensions |= {"settings": settings, "clock": clock, "mailer": mailer}
        application.extensions.pop("level_seen", None)
        return application


@pytest.fixture(scope="session")
def portals() -> Portals:
    return Portals()


@pytest.fixture
def app(
    books: Books,
    db: None,
    settings: Settings,
    clock: SettableClock,
    mailer: MemoryMailer,
    portals: Portals,
) -> Iterator[Flask]:
    application = portals.serving(settings, clock, mailer)
    handle = database.database.obj
    yield application
    for left in {handle, database.database.obj}:  # A test may have turned to another book.
        books.close(left)


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
            signed_in = signing_in.open_session(account, Browser(), now=clock.now(), one_tap=True)
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
def ana(db: None) -> Account:
    """A client whom the practice knows."""
    return make_account("Ana Ruiz Peña", "ana@example.com")


@pytest.fixture
def bruno(db: None) -> Account:
    """Another one, who has no business with what is Ana's."""
    return make_account("Bruno Díaz Muñoz", "bruno@example.com")


@pytest.fixture
def ines(db: None) -> Account:
    """The clinician of most tests."""
    return Account.get(Account.email == "ines@alameda.example")


@pytest.fixture
def oscar(db: None) -> Account:
    """Another clinician."""
    return Account.get(Account.email == "oscar@alameda.example")


@pytest.fixture
def manager(db: None) -> Account:
    return Account.get(Account.manager)


@pytest.fixture
def confirmed(ana: Account, ines: Account) -> Appointment:
    """Ana's session with Inés on Thursday at ten."""
    return confirmed_session(ana, ines)
