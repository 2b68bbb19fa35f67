"""What is kept on disk is its owner's alone: it names the people who come here."""

import os
from pathlib import Path

OTHERS = 0o007


def folder(path: Path) -> Path:
    """Make it, and what it lies in, unless it is there already."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def file(path: Path) -> Path:
    """Make it, empty, unless it is there already."""
    if not path.exists():
        path.touch(mode=0o600)
    return path


def is_open_to_others(path: Path) -> bool:
    """Whether everybody on this machine may look at it (Windows keeps that elsewhere)."""
    if os.name == "nt" or not path.exists():
        return False
    return bool(path.stat().st_mode & OTHERS and path.parent.stat().st_mode & OTHERS)
