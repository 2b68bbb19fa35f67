"""`flask doctor`: is everything in order? One line for each answer, and an exit code."""

import json
import sys
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext

from booking import doctor as examination
from booking.doctor import CannotRun, Finding, Verdict

MARKS = {Verdict.FINE: "✓", Verdict.REMARK: "!", Verdict.WRONG: "✗", Verdict.UNSEEN: "·"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Examine the live book, which it never changes. Exits with 0, 1 (wrong) or 2 (cannot)."""
    pieces = current_app.extensions
    try:
        findings = examination.examine(pieces["settings"], now=pieces["clock"].now())
    except CannotRun as reason:
        if as_json:
            click.echo(json.dumps({"error": str(reason)}, ensure_ascii=False))
        else:
            click.echo(str(reason), err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            click.echo(_told(finding))
    sys.exit(examination.worst(findings))


def _told(finding: Finding) -> str:
    line = f"{MARKS[finding.verdict]} {finding.check:<12} {finding.words}"
    return f"{line}: {'; '.join(finding.rows)}" if finding.rows else line
