"""The scenarios by name: what has happened at a practice when a test begins to look."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from booking import demo, operations
from booking.lifecycle import Event
from booking.models import Practice
from booking.qa.cast import (
    BRUNO,
    CARMEN,
    ITZIAR,
    LAST_WEEK,
    MARIA,
    NOW,
    ROSA,
    ask,
    at,
    block_mornings,
    child,
    client,
    confirmed,
    couple,
    decider,
    deny,
    record,
)

HERE = Path(__file__).parent
ALAMEDA = HERE / "alameda.toml"
JACARANDA = HERE.parents[1] / "demo" / "consultorio.toml"
FRIDAY = datetime(2027, 3, 12, 15, 0, tzinfo=UTC)  # Before the clocks of the border change.

Play = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A practice, an instant, and what happened there until then."""

    name: str
    shows: str  # For whoever chooses one: in Spanish.
    practice: Path
    now: datetime
    play: Play


ALL: dict[str, Scenario] = {}


def scenario(
    name: str, shows: str, *, practice: Path = ALAMEDA, now: datetime = NOW
) -> Callable[[Play], Play]:
    """Give what a function plays a name to be asked for."""

    def keep(play: Play) -> Play:
        ALL[name] = Scenario(name=name, shows=shows, practice=practice, now=now, play=play)
        return play

    return keep


# Nothing asked yet.


@scenario("vacio", "El consultorio, su personal y una clienta conocida; nadie ha pedido nada.")
def nothing_asked() -> None:
    client(*MARIA)


@scenario("dos-clientes", "Como «vacio», con otro cliente que puede ser más rápido.")
def two_clients() -> None:
    client(*MARIA)
    client(*BRUNO)


@scenario("conocida-sin-cuenta", "El consultorio conoce a Rosa, que todavía no tiene cuenta.")
def known_without_account() -> None:
    client(*MARIA)
    record(*ROSA)


@scenario("minima", "Un profesional, un consultorio, un servicio: nada que elegir salvo la hora.",
          practice=HERE / "minima.toml")  # fmt: skip
def smallest() -> None:
    client(*MARIA)


@scenario("varios-profesionales", "Cinco profesionales en tres consultorios.",
          practice=JACARANDA)  # fmt: skip
def several_clinicians() -> None:
    client(*MARIA)


# Each state of one appointment.


@scenario("pendiente", "María pidió el viernes 5 a las 10:00; nadie ha respondido.")
def pending() -> None:
    ask(client(*MARIA), at(5, 10))


@scenario("confirmada", "María tiene una sesión confirmada el jueves 4 a las 10:00.")
def accepted() -> None:
    confirmed(client(*MARIA), at(4, 10))


@scenario("ofertas-vigentes", "A María le denegaron el viernes 5 y le ofrecieron tres horarios.")
def offers() -> None:
    asked = ask(client(*MARIA), at(5, 10), now=NOW - timedelta(hours=2))
    deny(asked, [at(8, 10), at(9, 11), at(10, 12)], note="Ese día estoy fuera de la ciudad.")


@scenario("ofertas-por-vencer", "Como «ofertas-vigentes», pero a los horarios les queda una hora.")
def offers_about_to_lapse() -> None:
    then = NOW - timedelta(hours=47) + timedelta(minutes=1)
    asked = ask(client(*MARIA), at(5, 10), now=then - timedelta(hours=2))
    deny(asked, [at(8, 10), at(9, 11), at(10, 12)], now=then)


@scenario("denegada", "A María le denegaron el viernes 5, con una nota y sin ofrecerle horarios.")
def denied() -> None:
    asked = ask(client(*MARIA), at(5, 10), now=NOW - timedelta(hours=2))
    deny(asked, note="Por ahora no tengo lugar a esa hora.")


@scenario("cancelada", "María canceló su sesión confirmada del jueves 4.")
def cancelled() -> None:
    maria = client(*MARIA)
    operations.cancel(confirmed(maria, at(4, 10)).id, account=maria, now=NOW)


@scenario("reprogramacion-pendiente", "María quiere pasar su sesión del jueves 4 al viernes 5.")
def move_asked_for() -> None:
    maria = client(*MARIA)
    ask(maria, at(5, 11), replaces=confirmed(maria, at(4, 10)))


@scenario("realizada", "María vino a su sesión del jueves 25 de febrero.")
def attended() -> None:
    session = confirmed(client(*MARIA), at(25, 10, month=2), now=LAST_WEEK)
    operations.close(
        session.id,
        event=Event.ATTEND,
        actor=decider(session.clinician_id),
        now=at(25, 11, month=2),
    )


@scenario("fuera-de-plazo", "La sesión de María es hoy a las 12:00: muy tarde para cancelarla.")
def too_late() -> None:
    confirmed(client(*MARIA), at(1, 12), now=NOW - timedelta(days=3))


@scenario("solo-por-telefono", "Como «confirmada», donde nada se cancela ni mueve por el portal.")
def by_telephone_only() -> None:
    confirmed(client(*MARIA), at(4, 10))
    Practice.update(cancel_notice_minutes=None, revision=Practice.revision + 1).execute()


@scenario("videollamada", "María tiene una sesión confirmada por videollamada el jueves 4.")
def by_video() -> None:
    confirmed(client(*MARIA), at(4, 10), office=None)


# Other people.


@scenario("menor-y-pareja", "María tiene sesión con su hija el jueves 4 y en pareja el martes 9.")
def child_and_couple() -> None:
    maria = client(*MARIA)
    daughter = child(maria, "Ximena Itzel Zúñiga Núñez", date(2018, 6, 9))
    both = couple(maria, "José Ángel Zúñiga Güemes")
    confirmed(maria, at(4, 10), service="infantil", person=daughter)
    confirmed(maria, at(9, 10), service="pareja", person=both)


@scenario("nombres-largos", "Los nombres más largos de personas, servicios y calles.",
          practice=HERE / "nombres-largos.toml")  # fmt: skip
def long_names() -> None:
    maria = client(
        "María de los Ángeles Guadalupe Núñez-Echeverría y Fernández de Lizárraga Goyeneche",
        "maria.de.los.angeles.guadalupe.nunez.echeverria@correo-electronico.example",
    )
    name = "Maximiliano Cuauhtémoc Hernández-Xochihua Núñez-Echeverría"
    grandson = child(maria, name, date(2015, 12, 24))
    confirmed(maria, at(4, 10))
    ask(maria, at(5, 10), person=grandson)


# The clinician's day.


@scenario("bandeja-llena", "Doce personas esperan respuesta de Inés.")
def full_inbox() -> None:
    names = (
        MARIA, BRUNO, CARMEN, ITZIAR, ROSA,
        ("Ángel Óscar Muñiz Iñárritu", "angel@example.com"),
        ("Begoña Etxebarría Ñíguez", "begona@example.com"),
        ("Concepción Úrsula Peñaranda Yáñez", "concepcion@example.com"),
        ("Íñigo Sebastián Cárdenas Acuña", "inigo@example.com"),
        ("José María Quiñones Zúñiga", "josemaria@example.com"),
        ("Lucía Fernanda Treviño Saldaña", "lucia@example.com"),
        ("Nicanor Villaseñor Ibáñez", "nicanor@example.com"),
    )  # fmt: skip
    for number, who in enumerate(names):
        ask(client(*who), at(8 + number // 3 % 5, 9 + number % 3 * 2), now=NOW - timedelta(hours=1))


@scenario("ausencia", "Inés tiene tres sesiones confirmadas el jueves 4, a las 9, 11 y 13 horas.")
def sick_day() -> None:
    for who, hour in ((MARIA, 9), (BRUNO, 11), (CARMEN, 13)):
        confirmed(client(*who), at(4, hour))


@scenario("agenda-llena", "Como «pendiente», y a Inés no le queda ninguna mañana en dos meses.")
def full_agenda() -> None:
    ask(client(*MARIA), at(5, 10), now=NOW - timedelta(hours=1))
    block_mornings("ines", 62, first=at(1, 8))


@scenario("sala-unica", "Dos profesionales, una sala; María la tiene el jueves 4 a las 10:00.",
          practice=HERE / "sala-unica.toml")  # fmt: skip
def one_room() -> None:
    confirmed(client(*MARIA), at(4, 10))


@scenario("cambio-de-sala", "Bruno ocupa sin necesitarla la sala de juegos el miércoles 10.")
def room_to_change() -> None:
    daughter_of, bruno, carmen = (client(*who) for who in (MARIA, BRUNO, CARMEN))
    child(daughter_of, "Ximena Itzel Zúñiga Núñez", date(2018, 6, 9))
    first = ask(carmen, at(10, 9))
    ask(bruno, at(10, 9, 30), clinician="oscar")
    operations.cancel(first.id, account=carmen, now=NOW)


@scenario("cambio-de-hora", "Tijuana, el viernes antes de que se adelanten los relojes.",
          practice=HERE / "frontera.toml", now=FRIDAY)  # fmt: skip
def clocks_change() -> None:
    maria = client(*MARIA)
    confirmed(maria, at(13, 9), now=FRIDAY - timedelta(days=2))
    confirmed(maria, at(15, 9), now=FRIDAY - timedelta(days=2))


@scenario("demostracion", "El consultorio de demostración con cuatro semanas de citas inventadas.",
          practice=JACARANDA)  # fmt: skip
def demonstration() -> None:
    demo.fill(weeks=4, seed=1, now=NOW)
