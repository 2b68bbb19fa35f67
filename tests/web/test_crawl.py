"""Looking changes nothing: whatever anybody can open leaves every row of every table as it was."""

import pytest

from booking.db import tuples
from booking.models import ALL
from tests.web.cast import CLIENTS, STAFF, Cast
from tests.web.test_fuzz import FEW, MANY, pages

# Tables to which looking may add, with the reason.
MAY_CHANGE = frozenset({"ClientRead"})  # Who read whose data (docs/adr/0019).


def dump() -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    return {
        model.__name__: tuples(model.select().order_by(model.id))
        for model in ALL
        if model.__name__ not in MAY_CHANGE
    }


def crawled(app, cast: Cast, who: str, of_a_kind: int) -> int:
    """Open, and ask for the head of, all that somebody can come to."""
    seen = 0
    for path, answer in pages(app, cast, who, of_a_kind):
        head = cast.people[who].head(path)
        assert head.status_code == answer.status_code, path
        assert head.data == b"", path
        seen += 1
    return seen


@pytest.mark.parametrize("who", ["manager", "holder"])
def test_looking_changes_nothing(app, cast, who):
    before = dump()
    assert crawled(app, cast, who, FEW) > 20
    assert dump() == before


@pytest.mark.long
@pytest.mark.parametrize("who", sorted({*CLIENTS, *STAFF, "anonymous", "disabled"}))
def test_looking_changes_nothing_whoever_looks(app, cast, who):
    before = dump()
    assert crawled(app, cast, who, MANY) > 5
    assert dump() == before


def test_a_page_that_writes_would_be_seen(app, cast):
    before = dump()
    cast.people["holder"].post("/idioma", data={"idioma": "en"})
    assert dump() != before


@pytest.mark.parametrize("step", ["horario", "confirmar"])
def test_asking_for_a_pages_head_books_nothing(app, cast, step):
    """HEAD is not GET, and no form: whatever is not POST only looks."""
    before = dump()
    (client,) = cast.objects["client"][0].values.values()
    draft = "servicio=individual&consultorio=centro&profesional=ines&hora=2027-03-12T16:00Z"
    answer = cast.people["manager"].head(f"/clientes/{client}/cita/{step}?{draft}")
    assert answer.status_code == 200
    assert dump() == before
