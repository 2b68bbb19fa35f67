"""How Chromium is started: the one that is named, or Playwright’s own."""

import os

QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch_options(executable: str | None) -> dict[str, object]:
    """Arguments for `chromium.launch`; as root the sandbox cannot start."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    options: dict[str, object] = {"args": QUIET + (["--no-sandbox"] if root else [])}
    if executable:
        options["executable_path"] = executable
    return options
