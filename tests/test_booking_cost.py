"""What a booking costs a phone stays within its budgets, step by step and as a whole."""

import subprocess
import sys
from pathlib import Path

from bench.budgets import Cost
from bench.flow import Page, Row, over

ROOT = Path(__file__).parents[1]


def test_a_booking_stays_within_its_budgets():
    """Requests, round trips and bytes of two phones that book twice; no time is measured."""
    told = subprocess.run(
        [sys.executable, "-m", "bench.flow"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count("Solicitud enviada") == 4
    assert "once more" in told.stdout


def test_a_budget_that_is_passed_names_the_three_steps_that_cost_most():
    rows = [
        Row(f"step {n}", requests=1, trips=1, body=100 * n, headers=9, wire=9) for n in range(5)
    ]
    assert over("a booking", Cost(requests=5, trips=5, body=1_000, wire=45), rows) == []
    assert over("a booking", Cost(requests=5, trips=5, body=999, wire=45), rows) == [
        "a booking, body: 1,000, más de 999; lo que más pesa: step 4 400, step 3 300, step 2 200"
    ]


def test_a_phone_sees_what_a_page_offers():
    page = Page(
        "http://portal/citas",
        '<main><h1 tabindex="-1">Las <b>horas</b></h1><form action="/persona"><input type="hidden"'
        ' name="a" value="1 &amp; 2"><button name="hora" value="9"><button name="hora" value="10">'
        '</form><a href="/citas/nueva/servicio"></a></main><form action="/salir"></form>',
    )
    assert page.title == "Las horas"
    assert list(page.forms) == [("http://portal/persona", {"a": "1 & 2", "hora": "9"})]
    assert page.links == ["http://portal/citas/nueva/servicio"]
