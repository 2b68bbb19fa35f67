"""What the tests share that knock at every address."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from booking.clock import SettableClock
from booking.mailer import FolderMailer
from booking.settings import Settings
from tests.web.cast import Cast, gather


@pytest.fixture
def cast(
    app: Flask, clock: SettableClock, visitor: Callable[..., FlaskClient], settings: Settings
) -> Cast:
    """One of everything, and everybody; the mail lies in a folder, where the demo shows it."""
    app.extensions["mailer"] = FolderMailer(settings.data_dir / "buzon")
    return gather(app, clock, visitor)
