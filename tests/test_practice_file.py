"""What a practice file may say, what it may not, and what loading it changes."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from booking import practice_file
from booking.db import connect, database, migrate
from booking.models import (
    ALL,
    Account,
    Clinician,
    ClinicianService,
    Holiday,
    Hours,
    Location,
    Practice,
    Room,
    Service,
    Travel,
)
from booking.practice_file import FILE, PRACTICE, Change, Field, Many, PracticeFileError, load, show
from tests.builders import NOW

DEMO = Path(__file__).parent.parent / "demo" / "consultorio.toml"

SMALL = """
[consultorio]
nombre = "Consultorio Ñandú"
telefono = "+52 55 5555 0100"
correo = "citas@example.org"
zona = "America/Mexico_City"
cuadricula_minutos = 15
anticipacion_horas = 24
horizonte_dias = 60

[consultorio.cancelacion]
en_linea = true
horas = 24

[[ubicaciones]]
clave = "centro"
nombre = "Centro"
direccion = "Calle Uno 1, Ciudad de México"

[[ubicaciones.salas]]
clave = "c1"
nombre = "Sala 1"
caracteristicas = ["rampa", "juegos"]
asientos = 3

[[ubicaciones.salas]]
clave = "c2"
nombre = "Sala 2"
caracteristicas = ["mesa"]

[[ubicaciones]]
clave = "norte"
nombre = "Norte"
direccion = "Calle Dos 2, Ciudad de México"

[[ubicaciones.salas]]
clave = "n1"
nombre = "Sala 3"

[[traslados]]
desde = "centro"
hasta = "norte"
minutos = 25

[[servicios]]
clave = "individual"
nombre = "Sesión individual"
minutos = 50
minutos_antes = 5
minutos_despues = 10
video = true
para = ["adulto"]
sala = ["rampa"]

[[servicios]]
clave = "breve"
nombre = "Seguimiento"
minutos = 25
para = ["adulto"]

[[profesionales]]
clave = "laura"
nombre = "Laura Núñez"
correo = "laura@example.org"
servicios = ["individual", "breve"]
horario = [
  { dias = ["lunes"], ubicacion = "centro", abre = "09:00", cierra = "14:00" },
  { dias = ["lunes", "martes"], ubicacion = "norte", abre = "16:00", cierra = "20:00" },
]
excepciones = [
  { fecha = 2027-04-05, hasta = 2027-04-07, motivo = "Congreso" },
  { fecha = 2027-04-12, ubicacion = "norte", abre = "10:00", cierra = "12:00" },
]

[[feriados]]
fecha = 2027-05-01
nombre = "Día del Trabajo"

[[cuentas]]
correo = "gestion@example.org"
nombre = "Rocío Treviño"
"""


@pytest.fixture
def empty(books, tmp_path):
    """A migrated database without a practice."""
    settings = books.new(tmp_path)
    handle = connect(settings)
    migrate()
    yield
    books.close(handle)
    books.drop(settings)


HOURS = "profesionales[0].horario"
LAURA = 'correo = "laura@example.org"'
MONDAY = '{ dias = ["lunes"], ubicacion = "centro", abre = "09:00", cierra = "14:00" }'
EVENING = '{ dias = ["lunes", "martes"], ubicacion = "norte", abre = "16:00", cierra = "20:00" }'
LUNES, MARTES = '"lunes", ', ', "martes"'
BACK = '\n[[traslados]]\ndesde = "norte"\nhasta = "centro"\nminutos = 40\n'

MISTAKES = [
    # What is not TOML.
    ('clave = "c1"', 'clave = "c1', "línea 21", "comillas"),
    ('clave = "c1"', "clave = c1", "línea 21", "no se entiende"),
    ("minutos = 25", "minutos = 25\nminutos = 25", "línea", "ya está escrita"),
    ("[[traslados]]", "[consultorio]", "línea 40", "ya está escrita"),
    ("fecha = 2027-05-01", "fecha = 2027-02-30", "línea", "no existe"),
    ('telefono = "', 'teléfono = "', "línea 4", "sin acentos"),
    # Keys.
    ("telefono =", "telefno =", "consultorio.telefno", "¿quiso decir «telefono»?"),
    ("telefono =", "telefno =", "consultorio.telefono", "falta"),
    ("[[feriados]]", "[[ferados]]", "ferados", "¿quiso decir «feriados»?"),
    ('nombre = "Sala 2"\n', "", "ubicaciones[0].salas[1].nombre", "falta"),
    (LAURA, "", "profesionales[0].correo", "falta; se esperaba un correo"),
    ("[[feriados]]", "[feriados]", "feriados", "[[feriados]]"),
    ("horas = 24\n\n", "horas = 24\ndias = 1\n\n", "consultorio.cancelacion.dias", "desconocida"),
    # Types and values.
    ("minutos = 50", 'minutos = "50"', "servicios[0].minutos", "un número entero de 1 a 480"),
    ("minutos = 50", "minutos = true", "servicios[0].minutos", "dice true"),
    ("minutos = 50", "minutos = 0", "servicios[0].minutos", "de 1 a 480; dice 0"),
    ("minutos = 50", "minutos = 481", "servicios[0].minutos", "de 1 a 480; dice 481"),
    ("minutos_antes = 5", "minutos_antes = -5", "servicios[0].minutos_antes", "dice -5"),
    ("minutos_despues = 10", "minutos_despues = -1", "servicios[0].minutos_despues", "dice -1"),
    ("tos = 15\n", "tos = 7\n", "consultorio.cuadricula_minutos", "5, 10, 15, 20, 30, 60"),
    ("anticipacion_horas = 24", "anticipacion_horas = -1", "consultorio.anticipacion_horas", "-1"),
    ("horizonte_dias = 60", "horizonte_dias = -1", "consultorio.horizonte_dias", "de 0 a"),
    ("minutos = 25\n\n", "minutos = -25\n\n", "traslados[0].minutos", "dice -25"),
    ("+52 55 5555 0100", "", "consultorio.telefono", "un número de teléfono"),
    ("citas@example.org", "citas.example.org", "consultorio.correo", "un correo electrónico"),
    ("laura@example.org", "laura@example", "profesionales[0].correo", "un correo electrónico"),
    (
        'telefono = "',
        'aviso_de_privacidad = "javascript:alert(1)"\ntelefono = "',
        "consultorio.aviso_de_privacidad",
        "una dirección de internet",
    ),
    ("gestion@example.org", "a b@example.org", "cuentas[0].correo", "un correo electrónico"),
    ("Mexico_City", "Mexico_Cty", "consultorio.zona", "¿quiso decir «America/Mexico_City»?"),
    ("horizonte_dias = 60", 'region = "es_XX"', "consultorio.region", "es_419"),
    ("Sala 1", "Sala\\n1", "ubicaciones[0].salas[0].nombre", "en una línea"),
    ('para = ["adulto"]\nsala', 'para = ["nadie"]\nsala', "servicios[0].para", "adulto, menor"),
    ('["lunes", "martes"]', '["lunez"]', HOURS + "[1].dias", "lunes, martes"),
    ('["lunes", "martes"]', "[]", HOURS + "[1].dias", "al menos 1"),
    ('"09:00"', '"9 am"', "profesionales[0].horario[0].abre", "una hora"),
    ('"09:00"', '"24:00"', "profesionales[0].horario[0].abre", "de 00:00 a 23:59"),
    ("2027-05-01", '"2027-02-29"', "feriados[0].fecha", "una fecha que exista"),
    ('clave = "c1"', 'clave = "sala uno"', "ubicaciones[0].salas[0].clave", "sin espacios"),
    # The same thing twice.
    ('clave = "breve"', 'clave = "individual"', "servicios[1].clave", "ya está en servicios[0]"),
    ('clave = "n1"', 'clave = "c1"', "ubicaciones[1].salas[0].clave", "ubicaciones[0].salas[0]"),
    ('clave = "norte"', 'clave = "centro"', "ubicaciones[1].clave", "ya está en ubicaciones[0]"),
    ("[[servicios]]", BACK + BACK + "[[servicios]]", "traslados[2].hasta", "norte → centro"),
    ('["lunes", "martes"]', '["lunes", "lunes"]', HOURS + "[1].dias", "sin repetir"),
    (
        "[[cuentas]]",
        '[[feriados]]\nfecha = 2027-05-01\nnombre = "Otra vez"\n\n[[cuentas]]',
        "feriados[1].fecha",
        "ya está en feriados[0]",
    ),
    (
        "[[feriados]]",
        f'[[profesionales]]\nclave = "x"\nnombre = "X"\n{LAURA}\nservicios = []\n\n[[feriados]]',
        "profesionales[1].correo",
        "ya está en profesionales[0]",
    ),
    # Names of nothing.
    ('hasta = "norte"', 'hasta = "nrte"', "traslados[0].hasta", "¿quiso decir «norte»?"),
    ('hasta = "norte"', 'hasta = "centro"', "traslados[0].hasta", "otra ubicación"),
    ('ubicacion = "centro"', 'ubicacion = "sur"', HOURS + "[0].ubicacion", "«sur»"),
    (
        '["individual", "breve"]',
        '["individual", "brev"]',
        "profesionales[0].servicios",
        "«breve»",
    ),
    ('clave = "norte"', 'clave = "video"', "ubicaciones[1].clave", "reservada"),
    # Hours.
    ('cierra = "14:00"', 'cierra = "08:00"', "profesionales[0].horario[0].cierra", "posterior"),
    ('cierra = "14:00"', 'cierra = "09:00"', "profesionales[0].horario[0].cierra", "posterior"),
    (
        'cierra = "14:00"',
        'cierra = "16:30"',
        "profesionales[0].horario[1]",
        "se encima con horario[0] (lunes)",
    ),
    (
        EVENING,  # From Sunday until ten in the morning of Monday.
        '{ dias = ["domingo"], ubicacion = "norte", abre = "16:00", cierra = "34:00" }',
        "profesionales[0].horario[0]",
        "se encima con horario[1] (lunes)",
    ),
    (
        "fecha = 2027-04-12",
        "fecha = 2027-04-07",
        "profesionales[0].excepciones[1]",
        "se encima con excepciones[0] (2027-04-07)",
    ),
    ("hasta = 2027-04-07", "hasta = 2027-04-04", "profesionales[0].excepciones[0].hasta", "fecha"),
    (
        'ubicacion = "norte", abre = "10:00"',
        'abre = "10:00"',
        "profesionales[0].excepciones[1].ubicacion",
        "falta",
    ),
    (
        'ubicacion = "centro"',
        'ubicacion = "centro", presencial = false',
        "profesionales[0].horario[0].presencial",
        "ni presencial ni video",
    ),
    (
        'ubicacion = "centro"',
        'ubicacion = "video", presencial = true',
        "profesionales[0].horario[0].presencial",
        "se esperaba false",
    ),
    # Services that nobody can have.
    ('["individual", "breve"]', '["individual"]', "servicios[1].clave", "nadie lo ofrece"),
    ("video = true", "presencial = false", "servicios[0].presencial", "ni presencial ni video"),
    ('sala = ["rampa"]', 'sala = ["ramp"]', "servicios[0].sala", "¿quiso decir «rampa»?"),
    ('sala = ["rampa"]', 'sala = ["rampa", "mesa"]', "servicios[0].sala", "mesa, rampa"),
    ('sala = ["rampa"]', "asientos = 4", "servicios[0].sala", "4 asientos"),
    (MONDAY + ",", "", "servicios[0].sala", "se ofrece en norte, sin sala"),
    # Cancelling.
    ("en_linea = true\nhoras = 24", "en_linea = true", "consultorio.cancelacion.horas", "falta"),
    ("en_linea = true", "en_linea = false", "consultorio.cancelacion.horas", "sobra"),
    ("horas = 24\n\n", "horas = -2\n\n", "consultorio.cancelacion.horas", "dice -2"),
]


def _changed(old: str, new: str, text: str = SMALL) -> str:
    assert old in text
    return text.replace(old, new)


def _problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(PracticeFileError) as caught:
        load(text, now=NOW)
    return caught.value.problems


def _rows() -> list[list[object]]:
    return [[*model.select().order_by(model.id).tuples()] for model in ALL]


@pytest.mark.parametrize(("old", "new", "key", "message"), MISTAKES)
def test_a_mistake_is_named_by_its_key_with_what_was_expected(old, new, key, message):
    found = _problems(_changed(old, new))
    assert [what for where, what in found if where.startswith(key) and message in what], found


@pytest.mark.usefixtures("empty")
def test_all_mistakes_are_told_at_once_with_the_name_of_the_file(tmp_path):
    text = SMALL
    for old, new in (
        ("Mexico_City", "Luna"),
        ("minutos = 50", "minutos = 500"),
        ('cierra = "14:00"', 'cierra = "08:00"'),
        ('hasta = "norte"', 'hasta = "sur"'),
    ):
        text = _changed(old, new, text)
    path = tmp_path / "mi-consultorio.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(PracticeFileError) as caught:
        load(path, now=NOW)
    assert [key for key, _ in caught.value.problems] == [
        "consultorio.zona",
        "servicios[0].minutos",
        "profesionales[0].horario[0].cierra",
        "traslados[0].hasta",
    ]
    assert str(caught.value).startswith("mi-consultorio.toml: consultorio.zona: se esperaba")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff\xfe", "UTF-8"), (None, "no se puede leer")]
)
def test_an_unreadable_file_is_a_mistake_like_any_other(tmp_path, content, message):
    path = tmp_path / "roto.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PracticeFileError, match=f"roto.toml: archivo: .*{message}"):
        load(path, now=NOW)


@pytest.mark.usefixtures("empty")
def test_nothing_of_a_wrong_file_is_loaded():
    load(SMALL, now=NOW)
    before = _rows()
    assert _problems(SMALL.replace("minutos = 50", "minutos = 60").replace('"09:00"', '"9"'))
    assert _rows() == before


@pytest.mark.sqlite
@pytest.mark.usefixtures("empty")
def test_a_load_that_fails_half_way_leaves_nothing_behind():
    load(SMALL, now=NOW)
    before = _rows()
    database.execute_sql(
        "CREATE TRIGGER no_holidays BEFORE INSERT ON holiday BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(Exception, match="no"):
        load(SMALL.replace("minutos = 50", "minutos = 60"), now=NOW)
    assert _rows() == before


@pytest.mark.usefixtures("empty")
def test_the_file_becomes_rows():
    load(SMALL, now=NOW)
    practice = Practice.get()
    assert (practice.sender_name, practice.phone) == ("Consultorio Ñandú", "+52 55 5555 0100")
    assert (practice.notice_minutes, practice.cancel_notice_minutes) == (1440, 1440)
    assert practice.reminder_minutes == 1440
    assert [(x.key, x.zone, x.map_query) for x in Location.select()] == [
        ("centro", "America/Mexico_City", "Calle Uno 1, Ciudad de México"),
        ("norte", "America/Mexico_City", "Calle Dos 2, Ciudad de México"),
    ]
    assert [(r.key, r.features, r.seats) for r in Room.select()] == [
        ("c1", ["juegos", "rampa"], 3),
        ("c2", ["mesa"], 2),
        ("n1", [], 2),
    ]
    assert sorted(t.minutes for t in Travel.select()) == [25, 25]
    service = Service.get(Service.key == "individual")
    assert (service.minutes, service.buffer_before, service.buffer_after) == (50, 5, 10)
    assert (service.in_person, service.video, service.online) == (True, True, True)
    assert (service.client_kinds, service.audience) == (["adult"], "everyone")
    assert ClinicianService.select().count() == 2
    keys = {office.id: office.key for office in Location}
    weekly = [(h.weekday, h.opens, h.closes, keys[h.location_id or 0]) for h in Hours if not h.day]
    assert weekly == [(0, 540, 840, "centro"), (0, 960, 1200, "norte"), (1, 960, 1200, "norte")]
    special = [(h.day, h.opens, h.reason) for h in Hours.select() if h.day]
    days_off = [(date(2027, 4, day), None, "Congreso") for day in (5, 6, 7)]
    assert special == [*days_off, (date(2027, 4, 12), 600, "")]
    assert [(h.day, h.name) for h in Holiday.select()] == [(date(2027, 5, 1), "Día del Trabajo")]
    accounts = {a.email: (a.name, a.manager, a.clinician_id) for a in Account.select()}
    assert accounts == {
        "laura@example.org": ("Laura Núñez", False, Clinician.get().id),
        "gestion@example.org": ("Rocío Treviño", True, None),
    }


@pytest.mark.usefixtures("empty")
def test_loading_twice_changes_nothing_and_keeps_the_revision():
    assert load(SMALL, now=NOW)
    before = _rows()
    assert load(SMALL, now=NOW + timedelta(days=1)) == []
    assert _rows() == before
    assert Practice.get().revision == 1


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("text", [SMALL, SMALL + BACK, DEMO.read_text("utf-8")])
def test_what_is_shown_loads_without_a_change(text):
    load(text, now=NOW)
    shown = show()
    assert load(shown, now=NOW) == []
    assert show() == shown


@pytest.mark.usefixtures("empty")
def test_days_off_in_a_row_are_shown_as_one_line():
    load(SMALL, now=NOW)
    assert '{ fecha = 2027-04-05, hasta = 2027-04-07, motivo = "Congreso" },' in show()


@pytest.mark.usefixtures("empty")
def test_hard_texts_survive_being_shown():
    nasty = 'Comillas \\" y \\\\ barra,\\nrenglón,\\ttabulador, ñ, emoji 🌱'
    load(_changed("minutos = 50", f'minutos = 50\ndescripcion = "{nasty}"'), now=NOW)
    assert load(show(), now=NOW) == []
    assert "renglón,\ttabulador" in Service.get(Service.key == "individual").description


@pytest.mark.usefixtures("empty")
def test_the_same_thing_said_in_another_way_is_no_change():
    load(SMALL + BACK.replace("40", "25"), now=NOW)
    other = SMALL
    for old, new in (
        ('"09:00"', "09:00:00"),
        ("horas = 24", "horas = 24.0"),
        ("2027-05-01", '"2027-05-01"'),
        (EVENING, f"{EVENING.replace(LUNES, '')}, {EVENING.replace(MARTES, '')}"),
        ('["lunes"]', '["LUNES"]'),
    ):
        other = _changed(old, new, other)
    assert load(other, now=NOW) == []


CHANGES = [
    ("minutos = 50", "minutos = 55", Change("servicios", "individual", "minutos", 50, 55)),
    ("horas = 24", "horas = 48", Change("consultorio", "", "cancelacion.horas", 24, 48)),
    (
        "anticipacion_horas = 24",
        "anticipacion_horas = 1.5",
        Change("consultorio", "", "anticipacion_horas", 24, 1.5),
    ),
    (
        'video = true\npara = ["adulto"]',
        'video = true\npara = ["menor"]',
        Change("servicios", "individual", "para", ["adulto"], ["menor"]),
    ),
    (
        "minutos = 25\n\n",
        "minutos = 30\n\n",
        Change("traslados", "centro → norte", "minutos", 25, 30),
    ),
    (
        '[[ubicaciones.salas]]\nclave = "c2"\nnombre = "Sala 2"\ncaracteristicas = ["mesa"]\n',
        "",
        Change("ubicaciones.salas", "c2", "", "Sala 2", None),
    ),
    (
        MONDAY + ",",
        MONDAY.replace("centro", "norte") + ",\n" + MONDAY.replace("lunes", "jueves") + ",",
        Change(
            "profesionales.horario",
            "laura",
            "",
            None,
            '{ dias = ["lunes"], ubicacion = "norte", abre = "09:00", cierra = "14:00" }',
        ),
    ),
    (
        "Día del Trabajo",
        "Descanso",
        Change("feriados", "2027-05-01", "nombre", "Día del Trabajo", "Descanso"),
    ),
    ("gestion@", "rocio@", Change("cuentas", "gestion@example.org", "", "Rocío Treviño", None)),
]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(("old", "new", "change"), CHANGES)
def test_an_update_says_what_it_changed(old, new, change):
    load(SMALL, now=NOW)
    assert change in load(_changed(old, new), now=NOW)
    assert Practice.get().revision == 2
    assert load(_changed(old, new), now=NOW) == []


def test_a_change_reads_as_a_line():
    changes = [change for _, _, change in CHANGES]
    assert [str(change) for change in (changes[0], changes[3], changes[5])] == [
        "servicios.individual.minutos: 50 → 55",
        "servicios.individual.para: «adulto» → «menor»",
        "- ubicaciones.salas.c2: Sala 2",
    ]


@pytest.mark.usefixtures("empty")
def test_another_order_in_the_file_is_a_change_of_order():
    load(SMALL, now=NOW)
    first, second = SMALL.index("[[servicios]]"), SMALL.rindex("[[servicios]]")
    end = SMALL.index("[[profesionales]]")
    swapped = SMALL[:first] + SMALL[second:end] + SMALL[first:second] + SMALL[end:]
    assert load(swapped, now=NOW) == [
        Change("servicios", "", "orden", ["individual", "breve"], ["breve", "individual"])
    ]
    assert [s.key for s in Service.select().order_by(Service.position)] == ["breve", "individual"]


@pytest.mark.usefixtures("empty")
def test_what_leaves_the_file_is_set_aside_and_comes_back_as_the_same_row():
    load(SMALL, now=NOW)
    room, office = Room.get(Room.key == "n1").id, Location.get(Location.key == "norte").id
    gone = SMALL.replace('ubicacion = "norte"', 'ubicacion = "video"')
    start, end = gone.index('[[ubicaciones]]\nclave = "norte"'), gone.index("[[servicios]]")
    load(gone[:start] + gone[end:], now=NOW)
    assert not Room.get_by_id(room).active
    assert not Location.get_by_id(office).active
    assert Travel.select().count() == 0
    load(SMALL, now=NOW)
    assert Room.get(Room.key == "n1", Room.active).id == room
    assert Travel.select().count() == 2


@pytest.mark.usefixtures("empty")
def test_a_clinician_who_leaves_cannot_sign_in_as_one():
    load(SMALL, now=NOW)
    start, end = SMALL.index("[[servicios]]"), SMALL.index("[[feriados]]")
    load(SMALL[:start] + SMALL[end:], now=NOW)
    assert not Clinician.get().active
    account = Account.get(Account.email == "laura@example.org")
    assert account.clinician_id is None
    assert not account.staff


@pytest.mark.usefixtures("empty")
def test_an_account_that_exists_gets_the_role_and_a_manager_can_be_a_clinician():
    Account.create(email="laura@example.org", name="Laura N.", phone="55", created_at=NOW)
    load(_changed("gestion@example.org", "laura@example.org"), now=NOW)
    account = Account.get()
    assert (account.phone, account.manager) == ("55", True)
    assert account.clinician_id == Clinician.get().id
    load(_changed("gestion@", "laura@", SMALL) + "gestor = false\n", now=NOW)
    assert not Account.get().manager


@pytest.mark.usefixtures("empty")
def test_reminders_and_cancelling_online_can_be_off():
    text = _changed("en_linea = true\nhoras = 24", "en_linea = false")
    load(text + "\n[consultorio.recordatorio]\nactivo = false\n", now=NOW)
    practice = Practice.get()
    assert practice.cancel_notice_minutes is None
    assert practice.reminder_minutes is None
    assert load(show(), now=NOW) == []


def test_what_a_file_may_leave_out_is_what_the_tables_say():
    def defaults(table):
        for part in table.values():
            if isinstance(part, Field):
                yield part.column, part.default
            elif not isinstance(part, Many):
                yield from defaults(part)

    for column, default in defaults(PRACTICE):
        if default is not practice_file.REQUIRED and default is not None and column:
            assert Practice._meta.fields[column].default == default, column


def test_the_demo_shows_every_key_that_a_practice_can_write():
    text = DEMO.read_text("utf-8")

    def keys(table):
        for key, part in table.items():
            yield key
            if not isinstance(part, Field):
                yield from keys(part.table if isinstance(part, Many) else part)

    assert [key for key in keys(FILE) if key not in text] == []


@pytest.mark.usefixtures("empty")
def test_the_demo_loads_and_has_what_it_promises():
    load(DEMO, now=NOW)
    assert Clinician.select().count() == 5
    assert Service.select().count() == 8
    assert Location.select().count() == 3
    assert {Room.select().where(Room.location == office).count() for office in Location} <= {
        2,
        3,
        4,
    }
