"""The journeys of this folder stand on the kit for QA, and speak through its page objects."""

import pytest
from playwright.sync_api import Page

from e2e.pages.portal import PortalPage

pytest_plugins = ["e2e.plugin"]


@pytest.fixture
def portal(page: Page) -> PortalPage:
    return PortalPage(page)
