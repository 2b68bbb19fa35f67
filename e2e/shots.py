"""Pictures of the main pages for docs/ and the README: `python3 dev.py shots`."""

import os
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from booking import demo
from booking.models import Account, Appointment, Replan
from e2e.browser import launch_options
from e2e.site import NOW, Site, running

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
    own = {a.state: a.id for a in Appointment.select().where(Appointment.account == _client())}
    return {
        "citas": f"{site.url}/citas",
        "servicio": f"{site.url}/citas/nueva/servicio",
        "consultorio": f"{site.url}/citas/nueva/consultorio?servicio=individual",
        "horario": slot,
        "persona": slot.replace("horario?", "persona?") + f"&hora={hour}",
        "enviada": f"{site.url}/citas/{own['requested']}/enviada",
        "confirmada": f"{site.url}/citas/{own['confirmed']}",
        "ofertas": f"{site.url}/citas/{own['offered']}",
        "cancelar": f"{site.url}/citas/{own['confirmed']}/cancelar",
    }


def staff_pages(page: Page, site: Site) -> dict[str, str]:
    page.goto(f"{site.url}/solicitudes")
    request = page.locator('a[href^="/solicitudes/"]').first.get_attribute("href")
    plan = Replan.get_or_none()
    address = f"{site.url}/agenda/planes/{plan.id}" if plan else sick_day(page, site)
    return {
        "solicitudes": f"{site.url}/solicitudes",
        "solicitud": f"{site.url}{request}",
        "denegar": f"{site.url}{request}/denegar",
        "agenda": f"{site.url}/agenda",
        "horas": f"{site.url}/agenda/horas?dia=2027-03-08&hora=10:00",
        "ausencia": f"{site.url}/agenda/ausencia",
        "plan": address,
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


def _client() -> Account:
    client, _ = demo.people()
    return client


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
        for who, pages in (
            ("", public_pages),
            ("cliente", client_pages),
            ("profesional", staff_pages),
        ):
            context = browser.new_context(
                viewport={"width": width, "height": height}, locale="es-MX", device_scale_factor=1
            )
            page = context.new_page()
            if who:
                page.goto(f"{site.url}/demo/{who}")
                page.get_by_role("button", name="Entrar").click()
            for name, url in pages(page, site).items():
                page.goto(url)
                shoot(page, f"{name}-{size}")
                taken += 1
            if who == "cliente":
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
    with tempfile.TemporaryDirectory() as folder:
        fill = partial(demo.fill, weeks=4, seed=1, now=NOW)
        with (
            running(Path(folder), ROOT / "demo" / "consultorio.toml", prepare=fill) as site,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(**launch_options(os.environ.get("CHROMIUM")))  # type: ignore[arg-type]
            print(take(browser, site), "imágenes en", PICTURES.relative_to(ROOT))
            browser.close()


if __name__ == "__main__":
    main()
