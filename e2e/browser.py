"""Which Chromium is used, how it is started, and on what screens the portal is looked at."""

import os

from playwright.sync_api import sync_playwright

import dev
from e2e.site import Refused

PATIENCE = 60_000  # Milliseconds: the machine may be busy with other things.
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What `browser.new_context` is told about them.
SCREENS: dict[str, dict[str, object]] = {
    "phone": {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True},
    "narrow": {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True},
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}


def find() -> str | None:
    """The Chromium that CHROMIUM or PATH name; None: Playwright's own.

    Raises:
        Refused: there is none at all.
    """
    try:
        found = dev.find_browser(os.environ)
    except dev.Trouble as trouble:
        raise Refused(str(trouble)) from None
    if found is None:
        with sync_playwright() as playwright:
            if not os.path.exists(playwright.chromium.executable_path):
                raise Refused(
                    "No hay ningún Chromium: «python3 dev.py setup» lo busca o lo instala."
                )
    return found


def launch_options(executable: str | None) -> dict[str, object]:
    """Arguments for `chromium.launch`; as root the sandbox cannot start."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    options: dict[str, object] = {"args": QUIET + (["--no-sandbox"] if root else [])}
    if executable:
        options["executable_path"] = executable
    return options
