"""The house rules that a machine can check: templates, bare words, settings, tests, machines.

Each check is a function from text to what is wrong with it, so that it can also be shown something
wrong: a check that cannot fail is none. Catalogues are looked at in test_words.py, audiences in
tests/web/test_security.py, letters in tests/test_messages.py.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from booking.lifecycle import BIRTHS, LEGAL, State
from booking.web import words

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
WEB = sorted((ROOT / "booking" / "web").glob("*.py"))
PAGES = sorted(TEMPLATES.rglob("*.html"))
EMAIL = [path for path in PAGES if path.parent.name == "email"]
# What extends the layout that it is given: one step, one file, one section.
STEPS = [path for path in PAGES if "{% extends layout %}" in path.read_text()]
PIECES = [path for path in PAGES if path not in EMAIL]


def name(path: object) -> str:
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else ""


def parts() -> dict[str, set[str]]:
    """The parts that a view can be asked for alone, by the template that they are parts of."""
    found: dict[str, set[str]] = {}
    for path in WEB:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "render":
                template = node.args[0]
                given = next((k.value for k in node.keywords if k.arg == "parts"), None)
                if isinstance(given, ast.Tuple) and isinstance(template, ast.Constant):
                    names = {e.value for e in given.elts if isinstance(e, ast.Constant)}
                    found.setdefault(str(template.value), set()).update(map(str, names))
    return found


def tags(text: str, tag: str) -> list[str]:
    """The opening tags of one sort, with Jinja inside."""
    return re.findall(rf"<{tag}\b(?:\{{\{{.*?\}}\}}|\{{%.*?%\}}|[^>])*>", text, re.DOTALL)


def without_comments(text: str) -> str:
    return re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)


# Templates.


def test_every_template_can_be_read(app):
    for path in sorted(TEMPLATES.rglob("*.*")):
        app.jinja_env.compile(path.read_text(), filename=str(path))


# A visit begins here, without htmx: the focus stays where the browser puts it.
FRONT_DOOR = TEMPLATES / "portal" / "index.html"


def steps_root(text: str) -> Iterator[str]:
    """What is wrong with a full page: its heading, its title, its root."""
    if len(tags(text, "h1")) != 1:
        yield f"{len(tags(text, 'h1'))} <h1>"
    if '<h1 tabindex="-1" autofocus>' not in text:
        yield "the heading does not take the focus"
    if text.count("{% block title %}") != 1:
        yield "no title"
    if len(re.findall(r"\bid=\"step\"", text)) != 1:
        yield "not exactly one step"
    if not re.search(r'\{% block root %\}\s*<section id="step"[ >]', text):
        yield "the root is not the step"


@pytest.mark.parametrize("path", STEPS, ids=name)
def test_a_page_has_one_heading_a_title_and_one_root(path):
    allowed = {"the heading does not take the focus"} if path == FRONT_DOOR else set()
    assert set(steps_root(path.read_text())) <= allowed


def heading_and_title(text: str) -> Iterator[str]:
    """The title of the window begins with the heading of the page."""
    title = re.search(r"\{% block title %\}(.*?)\{% endblock", text, re.DOTALL)
    text = re.sub(r"bilingual\((.*?), \"[^\"]*\", practice, say\)", r"\1", text)
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.DOTALL)
    said = title and re.sub(r"<[^>]+>|\s+", " ", title[1]).split()
    if not title or not heading or said != re.sub(r"<[^>]+>|\s+", " ", heading[1]).split():
        yield f"{said} is not the heading"


@pytest.mark.parametrize("path", STEPS, ids=name)
def test_a_title_is_the_heading(path):
    assert not list(heading_and_title(path.read_text()))


def repeated_ids(text: str) -> list[str]:
    ids = re.findall(r'\sid="([\w-]+)"', text)
    return sorted({each for each in ids if ids.count(each) > 1})


@pytest.mark.parametrize("path", PIECES, ids=name)
def test_no_id_stands_twice(path):
    assert not repeated_ids(path.read_text())


def test_a_part_is_a_file_whose_root_has_its_name():
    assert parts()
    for template, names in parts().items():
        page = TEMPLATES / template
        files = {part: page.with_name(f"_{part}.html") for part in names}
        for part, file in files.items():
            assert re.match(rf'\s*<\w+ id="{part}"', without_comments(file.read_text())), part
            holders = [page, *(other for other in files.values() if other != file)]
            assert any(f'_{part}.html" %}}' in each.read_text() for each in holders), part


def odd_forms(text: str) -> Iterator[str]:
    """Forms that do not say where they go, and forms that are not safe to send twice."""
    for form in re.findall(r"<form\b.*?</form>", text, re.DOTALL):
        (tag,) = tags(form, "form")
        if ' action="' not in tag:
            yield f"no action: {tag}"
        if 'method="post"' in tag and "form_key()" not in form:
            yield f"no key: {tag}"
        if re.search(r'method="(?!post)', tag):
            yield f"only GET and POST: {tag}"


@pytest.mark.parametrize("path", PIECES, ids=name)
def test_every_form_says_where_it_goes_and_what_it_changes_carries_a_key(path):
    assert not list(odd_forms(path.read_text()))


FORBIDDEN = {
    "inline style": r"\sstyle\s*=|<style",
    "inline script": r"\son[a-z]+\s*=|<script(?![^>]*\ssrc=)|javascript:",
    "htmx that evaluates": r"hx-on|hx-vals='js:|hx-vars|hx-trigger=\"[^\"]*\[",
    "unescaped": r"\|\s*safe\b|\{% autoescape false",
    "another host": r"(?:src|href)=\"https?://",
    "another method": r"hx-(?:put|patch|delete)",
}


def forbidden(text: str) -> list[str]:
    return [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)]


@pytest.mark.parametrize("path", PIECES, ids=name)
def test_nothing_in_a_page_needs_a_weaker_policy(path):
    assert not forbidden(without_comments(path.read_text()))


@pytest.mark.parametrize("path", EMAIL, ids=name)
def test_mails_only_have_styles_of_their_own(path):
    """There are no style sheets in mail."""
    assert set(forbidden(path.read_text())) <= {"inline style"}


# Words.

# What is the same in every language, or no word at all.
SAME_EVERYWHERE = {"min"}
LETTERS_IN_A_ROW = re.compile(r"[^\W\d_]{2,}")
SPOKEN_ATTRIBUTES = "alt|aria-label|placeholder|title"


def bare_text(text: str) -> list[str]:
    """Words between tags, or in attributes that are read aloud, that no catalogue knows."""
    text = without_comments(text)
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.DOTALL)
    spoken = re.findall(rf'\s(?:{SPOKEN_ATTRIBUTES})="([^"]*)"', text)
    between = re.sub(r"<[^>]*>", "\n", text).splitlines()
    found = [word for piece in [*spoken, *between] for word in LETTERS_IN_A_ROW.findall(piece)]
    entities = {"nbsp", "middot", "amp", "lt", "gt"}
    return [word for word in found if word not in SAME_EVERYWHERE | entities]


def bare_in_jinja(text: str) -> list[str]:
    """Sentences that an expression prints or passes on without asking the catalogue.

    `bilingual` has the guide's own English label beside the Spanish one.
    """
    tree = Environment(autoescape=True).parse(text)
    translated = {
        id(constant)
        for call in tree.find_all(nodes.Call)
        if getattr(call.node, "name", "") in ("_", "gettext", "ngettext", "bilingual")
        for constant in call.find_all(nodes.Const)
    }
    return [
        const.value
        for const in tree.find_all(nodes.Const)
        if id(const) not in translated and isinstance(const.value, str) and sentence(const.value)
    ]


def sentence(text: str) -> bool:
    """Two words or more, as people write them: not markup, addresses, formats or SQL."""
    if re.search(r"[<>{}=/\\]|%[A-Za-z]|\d{4}|::", text) or text == text.upper():
        return False
    return bool(re.search(r"[^\W\d_]{2,}[,;:.]? [^\W\d_]", text))


# The class names of a badge or a button are two words, too.
CLASSES = re.compile(r"[a-z]+( [a-z]+)+")


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.*")), ids=name)
def test_every_word_of_a_template_is_in_the_catalogue(path):
    text = path.read_text()
    assert not bare_text(text)
    assert not [said for said in bare_in_jinja(text) if not CLASSES.fullmatch(said)]


GETTEXT = {"_", "_l", "gettext", "ngettext", "lazy_gettext", "lazy_ngettext"}
NOT_FOR_READERS = {"debug", "info", "warning", "error", "exception", "LookupError"}


def untranslated(source: str) -> list[str]:
    """Sentences in code that no call of gettext, log or docstring has around it."""
    tree = ast.parse(source)
    fine: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in GETTEXT | NOT_FOR_READERS:
                fine |= {id(each) for each in ast.walk(node)}
        elif isinstance(node, ast.Expr):
            fine.add(id(node.value))  # A docstring.
        elif isinstance(node, ast.Raise):
            fine |= {id(each) for each in ast.walk(node)}  # Pages are made of what is caught.
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in fine
        and sentence(node.value)
    ]


# Sentences for machines.
ALLOWED = {
    "outerHTML show:window:top",
    "innerHTML show:window:top",
    "LEFT OUTER JOIN",
}


@pytest.mark.parametrize("path", WEB, ids=name)
def test_every_sentence_of_the_web_is_in_the_catalogue(path):
    assert not [
        said
        for said in untranslated(path.read_text())
        if said not in ALLOWED and "'none'" not in said and "'self'" not in said
    ]


# Markup.


def marked(source: str) -> list[int]:
    """The lines that take a text for markup which is not all there in the code."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if getattr(call.func, "id", getattr(call.func, "attr", "")) == "Markup"
        and not all(isinstance(each, ast.Constant) for each in call.args)
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "booking").rglob("*.py")), ids=name)
def test_nothing_variable_is_taken_for_markup(path):
    assert not marked(path.read_text())


# Logs.

# Both print an exception's own words, with whatever they quote: `booking/logs.py` has neither.
WORDS_OF_EXCEPTIONS = re.compile(r"\.exception\(|exc_info|format_exc|print_exc")


def quoted(text: str) -> list[str]:
    return WORDS_OF_EXCEPTIONS.findall(text)


@pytest.mark.parametrize("path", sorted((ROOT / "booking").rglob("*.py")), ids=name)
def test_no_log_takes_an_exceptions_own_words(path):
    assert not quoted(path.read_text())


# Tables that must not forget anything.


@pytest.mark.parametrize("table", ["CLIENT_HISTORY", "STAFF_HISTORY"])
def test_every_change_can_be_told(table):
    possible = {event for _, event in LEGAL} | set(BIRTHS)
    assert set(getattr(words, table)) >= possible


@pytest.mark.parametrize("table", ["STATUS", "STAFF_STATUS"])
def test_every_state_has_a_name(table):
    assert set(getattr(words, table)) == set(State)


def settings_read(source: str) -> set[str]:
    return set(re.findall(r'"(APP_[A-Z_]+)"', source))


def test_every_setting_is_in_the_readme():
    names = settings_read((ROOT / "booking" / "settings.py").read_text())
    assert len(names) >= 7
    readme = (ROOT / "README.md").read_text()
    assert not [each for each in names if each not in readme]


# Tests keep their word.

PATCHES = re.compile(r"unittest\.mock|from unittest import mock|time\.sleep|wait_for_timeout")
OF_TESTS = sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("e2e/**/*.py")])


@pytest.mark.parametrize("folder", ["tests", "e2e"])
def test_nothing_is_mocked_and_nobody_sleeps(folder):
    for path in OF_TESTS:
        if path.is_relative_to(ROOT / folder) and path != Path(__file__):
            assert not PATCHES.search(path.read_text()), path


# OR-Tools accepts what will be gone, and gives sums as fractions just below what they are.
# GLOP's door has only the one spelling.

ORTOOLS = {
    "the old spelling": (
        r"\b(?:model|solver)\.[A-Z]\w*\(|(?<!pywraplp\.Solver)\.(?:Add|New|Solve)[A-Z]\w*\(|\.Solve\("
    ),
    "an old parameter": r"num_search_workers",
    "a truncated sum": r"int\([^()]*objective_value",
}


def old_ortools(text: str) -> list[str]:
    return [what for what, pattern in ORTOOLS.items() if re.search(pattern, text)]


@pytest.mark.parametrize("path", sorted((ROOT / "solver").glob("*.py")), ids=name)
def test_ortools_is_spoken_to_in_its_present_language(path):
    assert not old_ortools(path.read_text())


# What a clone of the repository carries.

TEXT = {".py", ".html", ".txt", ".css", ".toml", ".md", ".po", ".pot", ".lock", ".yml", ".yaml", ""}
MACHINES = {
    "a home": r"/home/(?!\.\.\.)[a-z]|/Users/[A-Za-z]|[A-Z]:\\\\Users",
    "a workplace": r"(?<![\w.])/(?:work|workspace|root|mnt)/[a-z]",
    "an index": r"index-url|files\.pythonhosted|pypi\.org/simple|--trusted-host",
}


def machines(text: str) -> list[str]:
    return [what for what, pattern in MACHINES.items() if re.search(pattern, text)]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_no_file_knows_the_machine_it_was_written_on():
    files = tracked()
    if not files:
        pytest.skip("an unpacked archive: git does not list its files")
    for path in files:
        if path.suffix in TEXT and path.is_file() and path != Path(__file__):
            assert not machines(path.read_text(errors="ignore")), path


# Each check, shown what it is for.

GOOD_STEP = (
    '{% extends layout %}{% block title %}{{ _("Citas") }}{% endblock %}{% block root %}\n'
    '<section id="step"><h1 tabindex="-1" autofocus>{{ _("Citas") }}</h1></section>'
    "{% endblock %}"
)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (steps_root, GOOD_STEP, GOOD_STEP.replace("</h1>", "</h1><h1>")),
        (steps_root, GOOD_STEP, GOOD_STEP.replace("autofocus", "")),
        (steps_root, GOOD_STEP, GOOD_STEP.replace("title", "name")),
        (steps_root, GOOD_STEP, GOOD_STEP.replace("<h1", '<p id="step"></p><h1')),
        (steps_root, GOOD_STEP, GOOD_STEP.replace("<section", "<p></p><section")),
        (heading_and_title, GOOD_STEP, GOOD_STEP.replace("Citas", "Salas", 1)),
        (repeated_ids, '<p id="a"><p id="b">', '<p id="a"><p id="a">'),
        (odd_forms, '<form action="/x"></form>', "<form></form>"),
        (
            odd_forms,
            '<form method="post" action="{{ a > b }}">{{ form_key() }}</form>',
            '<form method="post" action="/x"></form>',
        ),
        (odd_forms, '<form action="/x"></form>', '<form method="put" action="/x"></form>'),
        (forbidden, "<p>", '<p style="x">'),
        (forbidden, '<script src="x"></script>', "<script>x</script>"),
        (forbidden, "<p>", '<p onclick="x">'),
        (forbidden, '<p hx-trigger="change">', '<p hx-on:click="x">'),
        (forbidden, "{{ x }}", "{{ x|safe }}"),
        (bare_text, '<p class="hint">{{ _("Hola") }}</p> · – 1', "<p>Hola</p>"),
        (bare_text, '<a title="{{ _("Hola") }}">', '<a title="Hola">'),
        (bare_text, "{% if a %}{% endif %}", "{% if a %}Hola{% endif %}"),
        (bare_in_jinja, '{{ _("Hola a todos") }}', '{{ say("Hola a todos") }}'),
        (untranslated, '_("Hola a todos")', 'say("Hola a todos")'),
        (untranslated, '"""Hola a todos."""\nx = 1', 'x = "Hola a todos."'),
        (untranslated, 'log.info("Hola a todos")', 'render(title="Hola a todos")'),
        (marked, "Markup('<b>{}</b>').format(name)", "Markup(f'<b>{name}</b>')"),
        (marked, "Markup('<b>')", "markupsafe.Markup('<b>' + name)"),
        (quoted, "log.error('%s', trace(error))", "log.exception('broken')"),
        (quoted, "log.error('%s', kinds(error))", "log.error('broken', exc_info=error)"),
        (old_ortools, "cp_model.CpModel()", "model.AddAtMostOne(x)"),
        (old_ortools, "model.new_bool_var('x')", "solver.Solve(model)"),
        (old_ortools, "parameters.num_workers = 1", "parameters.num_search_workers = 1"),
        (old_ortools, "round(solver.objective_value)", "int(solver.objective_value)"),
        (machines, "~/citas", "/home/" + "ana/citas"),
        (machines, "../citas", "/mnt/" + "citas"),
        (machines, "pip install", "--index-" + "url=x"),
    ],
)
def test_each_check_tells_right_from_wrong(check: Callable[[str], list[str]], good, bad):
    assert not list(check(good))
    assert list(check(bad))
