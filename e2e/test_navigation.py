"""What a quick thumb does: the last page that was asked for is the one that is shown."""

import pytest
from playwright.sync_api import Route, expect

from e2e.fixtures import SignIn
from e2e.pages.times import TimesPage
from e2e.site import Site

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("javascript", [True], ids=["with-javascript"])
def test_a_second_tap_abandons_the_page_of_the_first(as_clinician: SignIn, site: Site) -> None:
    phone = as_clinician()
    phone.goto("/agenda")
    slow: list[Route] = []
    phone.route("**/agenda/horas?dia=2027-03-04*", lambda route: slow.append(route))  # No answer.
    with phone.expect_request("**/agenda/horas?dia=2027-03-04*"):
        phone.get_by_role("link", name="Qué se ofrece el jueves, 4 de marzo").click()
    with phone.expect_event("requestfailed") as abandoned:
        phone.get_by_role("link", name="Qué se ofrece el viernes, 5 de marzo").click()
    assert abandoned.value.url == slow[0].request.url
    TimesPage(phone).expect_day("viernes, 5 de marzo")
    expect(phone).to_have_url(f"{site.url}/agenda/horas?dia=2027-03-05")
