"""Pictures of the main pages for docs/ and the README: `python3 dev.py shots`."""

import os
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from e2e.browser import launch_options
from e2e.pages.appointments import AppointmentsPage
from e2e.site import Site, local_site

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "img"
TALLEST = 2000
SIZES = {"360": (360, 740), "1280": (1280, 900)}


def client_pages(page: Page, site: Site) -> dict[str, str]:
    """Name → address, in the order of the guide."""
    slot = (
        f"{site.url}/citas/nueva/horario?servicio=individual&consultorio=roma"
        "&profesional=cualquiera"
    )
    page.goto(slot)
    hour = page.locator("button[name=hora]").first.get_attribute("value")
    pending, confirmed, offered = (
        card(page, site, status)
        for status in (
            "Pendiente de confirmación",
            "Confirmada",
            "Denegada: elija otro horario",
        )
    )
    return {
        "citas": f"{site.url}/citas",
        "servicio": f"{site.url}/citas/nueva/servicio",
        "consultorio": f"{site.url}/citas/nueva/consultorio?servicio=individual",
        "horario": slot,
        "persona": slot.replace("horario?", "persona?") + f"&hora={hour}",
        "enviada": f"{pending}/enviada",
        "confirmada": confirmed,
        "ofertas": offered,
        "cancelar": f"{confirmed}/cancelar",
    }


def card(page: Page, site: Site, status: str) -> str:
    """The address of the client's appointment in a state."""
    page.goto(f"{site.url}/citas")
    link = AppointmentsPage(page).card(status).first.get_by_role("heading").get_by_role("link")
    return f"{site.url}{link.get_attribute('href')}"


def staff_pages(page: Page, site: Site) -> dict[str, str]:
    page.goto(f"{site.url}/solicitudes")
    request = page.locator('a[href^="/solicitudes/"]').first.get_attribute("href")
    return {
        "solicitudes": f"{site.url}/solicitudes",
        "solicitud": f"{site.url}{request}",
        "denegar": f"{site.url}{request}/denegar",
        "agenda": f"{site.url}/agenda",
        "horas": f"{site.url}/agenda/horas?dia=2027-03-08&hora=10:00",
        "ausencia": f"{site.url}/agenda/ausencia",
        "plan": sick_day(page, site),
        "clientes": f"{site.url}/clientes",
    }


def sick_day(page: Page, site: Site) -> str:
    """The clinician reports Tuesday off; where the joint plan is."""
    page.goto(f"{site.url}/agenda/ausencia")
    page.get_by_label("Un día entero").check()
    page.get_by_label("Día", exact=True).fill("2027-03-02")
    page.get_by_role("button", name="Bloquear y buscar otros horarios").click()
    page.wait_for_url("**/planes/*")
    site.plan()
    return page.url


def public_pages(_page: Page, site: Site) -> dict[str, str]:
    return {
        "portal": f"{site.url}/",
        "entrar": f"{site.url}/entrar",
        "registro": f"{site.url}/registro",
    }


def take(browser: Browser, site: Site) -> int:
    """Every page at both sizes, and the client's list in the dark; how many pictures."""
    taken = 0
    for size, (width, height) in SIZES.items():
        scene = site.load("demostracion")
        for who, pages in (
            ("", public_pages),
            (scene.client.email, client_pages),
            (scene.clinician.email, staff_pages),
        ):
            context = browser.new_context(
                viewport={"width": width, "height": height}, locale="es-MX", device_scale_factor=1
            )
            if who:
                site.sign_in(context, who)
            page = context.new_page()
            for name, url in pages(page, site).items():
                page.goto(url)
                shoot(page, f"{name}-{size}")
                taken += 1
            if who == scene.client.email:
                page.emulate_media(color_scheme="dark")
                page.goto(f"{site.url}/citas")
                shoot(page, f"citas-noche-{size}")
                taken += 1
            context.close()
    return taken


def shoot(page: Page, name: str) -> None:
    """The whole page, but for the tail of a long list, on a screen as tall as that."""
    screen = page.viewport_size
    assert screen is not None
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": screen["width"], "height": min(TALLEST, tall)})
    page.screenshot(path=PICTURES / f"{name}.png")
    page.set_viewport_size(screen)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        local_site(Path(folder)) as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(**launch_options(os.environ.get("CHROMIUM")))  # type: ignore[arg-type]
        print(take(browser, site), "imágenes en", PICTURES.relative_to(ROOT))
        browser.close()


if __name__ == "__main__":
    main()
