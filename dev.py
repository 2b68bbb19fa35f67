#!/usr/bin/env python3
"""Every developer command; `python3 dev.py` lists them.

Standard library only, so that it works on a machine that has Python and nothing else.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

if sys.version_info < (3, 11):  # noqa: UP036 - whoever needs this message runs an older one.
    sys.exit("Citaclara necesita Python 3.11 o posterior. Pruebe, por ejemplo: python3.12 dev.py")

ROOT = Path(__file__).resolve().parent
RUNTIME = ROOT / "requirements.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"  # All of RUNTIME, and the tools.

WINDOWS = os.name == "nt"
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = BIN / ("python.exe" if WINDOWS else "python")
STAMP = VENV / "installed"

CATALOGUES = ROOT / "translations"
LANGUAGES = ("en", "es_ES")
# The first has no windows to draw: the same tests take it half the computing.
BROWSERS = (
    "chromium-headless-shell",
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
)  # fmt: skip
APT_PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
NO_BROWSER = f"""\
No hay ningún Chromium para las pruebas con navegador. Hay cuatro formas de darles uno:
  1. CHROMIUM=/ruta/al/navegador python3 dev.py …
  2. instalar uno que esté en PATH: {", ".join(BROWSERS)}
  3. en Debian, como root: apt-get install {" ".join(APT_PACKAGES)}
  4. con acceso a internet: .venv/bin/playwright install chromium"""

# One more than there are cores: tests also wait for disks, servers and browsers.
WORKERS = str(min(4, (os.cpu_count() or 1) + 1))
# Where a file is written at no cost, and the room for files that tests need there.
MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # noqa: S108 - each run makes a folder of its own.
NOTHING_SELECTED = 5  # What pytest answers when -k leaves no test.

# A part of a check: it gives a note for the summary, or raises Trouble with one.
Part = Callable[[], str]


class Trouble(Exception):
    """Something that the person at the keyboard can put right; the text is for them."""


def say(text: str) -> None:
    print(text, flush=True)


def python(*arguments: str | Path, env: Mapping[str, str] | None = None) -> int:
    return subprocess.call([PYTHON, *arguments], cwd=ROOT, env=env)


def become(*arguments: str) -> int:
    """Leave this process to the command: signals reach it and nothing stands between."""
    if not WINDOWS:
        os.chdir(ROOT)
        os.execv(PYTHON, [str(PYTHON), *arguments])  # noqa: S606
    return python(*arguments)


# The environment


def prepare(lock: Path = DEVELOPMENT) -> None:
    keep_bytecode()
    if not satisfies(lock):
        with alone():
            if not satisfies(lock):
                install(lock)
    compile_catalogues()


def keep_bytecode() -> None:
    """Containers often say not to; each of a hundred processes would compile all it imports."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def satisfies(lock: Path) -> bool:
    return fingerprint(lock) in installed()


def fingerprint(lock: Path) -> str:
    return f"{lock.name} {hashlib.sha256(lock.read_bytes()).hexdigest()}"


def installed() -> list[str]:
    """The locks that .venv satisfies: none if it was cut short, moved, or lost its Python."""
    try:
        made_by, *locks = STAMP.read_text().splitlines()
    except (OSError, ValueError):
        return []
    return locks if PYTHON.exists() and made_by == interpreter() else []


def interpreter() -> str:
    return f"{PYTHON} {PYTHON.resolve()}"


@contextmanager
def alone() -> Iterator[None]:
    """One installation at a time: a second terminal waits for the first."""
    with RUNTIME.open() as handle:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install(lock: Path) -> None:
    say(f"Instalando {lock.name} en .venv (la primera vez tarda alrededor de un minuto)…")
    usable = installed()
    STAMP.unlink(missing_ok=True)  # Without a stamp, whatever was cut short starts afresh.
    if not usable and subprocess.call([sys.executable, "-m", "venv", "--clear", VENV]):
        raise Trouble("No se pudo crear .venv. En Debian y Ubuntu: apt-get install python3-venv")
    # Not compiling halves the time: most of what OR-Tools brings is never imported.
    pip = "-m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r"
    if python(*pip.split(), lock):
        raise Trouble(f"No se pudo instalar {lock.name}: pip dice por qué más arriba.")
    locks = (RUNTIME, DEVELOPMENT) if lock == DEVELOPMENT else (RUNTIME,)
    STAMP.write_text("\n".join([interpreter(), *map(fingerprint, locks)]))


def compile_catalogues() -> None:
    """The .mo files are built, never committed: build those older than their catalogue."""
    for source in CATALOGUES.glob("*/LC_MESSAGES/*.po"):
        built = source.with_suffix(".mo")
        fresh = built.exists() and built.stat().st_mtime >= source.stat().st_mtime
        if not fresh and babel("compile", "-i", source, "-o", built):
            raise Trouble(f"No se pudo compilar {source.relative_to(ROOT)}.")


def babel(*arguments: str | Path) -> int:
    return python("-m", "babel.messages.frontend", "--quiet", *arguments)


# The browser


def with_browser() -> dict[str, str]:
    """The environment in which e2e/ finds a Chromium, installing one if there is none."""
    environ = {name: value for name, value in os.environ.items() if name != "CHROMIUM"}
    found = find_browser(os.environ) or debian_browser()
    if found:
        return environ | {"CHROMIUM": found}
    if python("-m", "playwright", "install", "chromium"):
        raise Trouble(NO_BROWSER)
    return environ  # Playwright finds its own.


def find_browser(environ: Mapping[str, str]) -> str | None:
    """The one asked for, or the first on PATH that starts."""
    chosen = environ.get("CHROMIUM")
    if chosen and not starts(chosen):
        raise Trouble(f"CHROMIUM dice «{chosen}», que no se puede ejecutar.")
    on_path = (shutil.which(name, path=environ.get("PATH")) for name in BROWSERS)
    return chosen or next((path for path in on_path if path and starts(path)), None)


def starts(browser: str) -> bool:
    """Some systems keep a script there that only says how to install the real one."""
    try:
        return not subprocess.run([browser, "--version"], capture_output=True).returncode
    except OSError:
        return False


def debian_browser() -> str | None:
    if WINDOWS or os.geteuid() or not shutil.which("apt-get"):
        return None
    say("Instalando Chromium con apt-get…")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *APT_PACKAGES]
    for command in (["apt-get", "update", "-qq"], install):
        if subprocess.call(command, env=environ):
            return None
    return find_browser(environ)


# The parts of a check


def style() -> dict[str, Part]:
    return {
        "ruff check": partial(tool, "ruff", "check"),
        "ruff format": partial(tool, "ruff", "format", "--check"),
        "mypy": partial(tool, "mypy"),
        "lint-imports": partial(tool, "lint-imports"),
    }


def dry_tests(*arguments: str) -> dict[str, Part]:
    # Playwright's fixtures belong to e2e/: here a test that asks for `page` must fail. Neighbours
    # stay in one process, for what their module prepares, until another process has nothing left.
    how = ("-p", "no:playwright", "-n", WORKERS, "--dist", "worksteal")
    return {"tests": partial(pytest, "tests", *how, *arguments)}


def postgresql_tests(*arguments: str) -> dict[str, Part]:
    """The tests with a book once more; the server is a package and starts with them."""
    (part,) = dry_tests("--database=postgresql", *arguments).values()
    return {"PostgreSQL": part}


def browser_tests(*arguments: str) -> dict[str, Part]:
    """Several processes, each with a server of its own; a deployed one has one book for all."""
    deployed = any(argument.startswith("--base-url") for argument in arguments)
    parallel = () if deployed else ("-n", WORKERS)
    return {"e2e": lambda: pytest("e2e", *parallel, *arguments, env=with_browser())}


def tool(command: str, *arguments: str) -> str:
    if subprocess.call([BIN / command, *arguments], cwd=ROOT):
        raise Trouble
    return ""


def pytest(folder: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run a folder's tests, or those of it that the arguments name, and give their counts."""
    where = [] if any(argument.startswith(f"{folder}/") for argument in arguments) else [folder]
    with tempfile.TemporaryDirectory(dir=roomy_memory()) as scratch:
        report = Path(scratch, "report.xml")
        env = {**(os.environ if env is None else env), "TMPDIR": scratch}
        code = python("-m", "pytest", "-rs", f"--junitxml={report}", *arguments, *where, env=env)
        counts = read_counts(report)
    if code and not (code == NOTHING_SELECTED and "-k" in arguments):
        raise Trouble(counts)
    return counts


def roomy_memory() -> Path | None:
    """Books that a test throws away need no disk: waiting for it was a third of the run."""
    free = shutil.disk_usage(MEMORY).free if MEMORY.is_dir() else 0
    return MEMORY if free > ROOM else None


def read_counts(report: Path) -> str:
    if not report.exists():
        raise Trouble("pytest no llegó a empezar")
    suites = list(ElementTree.parse(report).iter("testsuite"))  # noqa: S314 - pytest wrote it.
    kinds = ("tests", "failures", "errors", "skipped")
    total, failures, errors, skipped = (sum(int(s.get(kind, 0)) for s in suites) for kind in kinds)
    failed = failures + errors
    return f"pasan {total - failed - skipped}, fallan {failed}, omitidas {skipped}"


def run_all(parts: Mapping[str, Part]) -> int:
    """Run every part even if one fails; then say how each of them went and how long it took."""
    summary, failed = [], False
    for name, part in parts.items():
        say(f"\n== {name}")
        started = time.perf_counter()
        try:
            verdict, note = "bien", part()
        except Trouble as trouble:
            verdict, note, failed = "MAL", str(trouble), True
        summary.append(f"{verdict:<5}{name:<13}{time.perf_counter() - started:6.1f} s   {note}")
    say("\n== Resumen\n" + "\n".join(line.rstrip() for line in summary))
    return int(failed)


# The verbs


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 dev.py run")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, default=ROOT / ".data", metavar="DIR")
    chosen = parser.parse_args(arguments)
    prepare(RUNTIME)
    os.environ |= {
        "APP_ENV": "demo",
        "APP_DATA_DIR": str(chosen.data.resolve()),
    }
    # Whoever opens the demo under another name says it: the portal answers to no other.
    os.environ.setdefault("APP_BASE_URL", f"http://127.0.0.1:{chosen.port}")
    return become("-m", "flask", "--app", "app", "demo", "run", "--port", str(chosen.port))


def test(arguments: list[str]) -> int:
    if {"-h", "--help"} & {*arguments}:
        say(f"Uso: python3 dev.py test {VERBS['test'][1]}")
        return 0
    prepare()
    chosen = [argument for argument in arguments if argument != "--long"]
    if "--long" in arguments:
        chosen += ["-m", ""]  # pyproject.toml leaves the long ones out.
    code = run_all(
        style() | dry_tests(*chosen) | postgresql_tests(*chosen) | browser_tests(*chosen)
    )
    if "--long" not in arguments:
        say(
            "Faltan las pruebas largas; en PostgreSQL, también las de lo que es igual en SQLite"
            " (SAME_ON_BOTH en tests/conftest.py): python3 dev.py test --long"
        )
    return code


def check(arguments: list[str]) -> int:
    prepare()
    return run_all(style() | dry_tests(*arguments))


def e2e(arguments: list[str]) -> int:
    prepare()
    return run_all(browser_tests(*arguments))


def bench(arguments: list[str]) -> int:
    prepare()
    every = sorted(path.stem for path in ROOT.glob("bench/[!_]*.py"))
    return max((python("-m", f"bench.{name}") for name in arguments or every), default=0)


def shots(arguments: list[str]) -> int:
    prepare()
    environ = with_browser()
    return python("-m", "e2e.shots", *arguments, env=environ)


def i18n(_arguments: list[str]) -> int:
    """No dates and no line numbers: a catalogue changes only when its messages do."""
    prepare()
    template = CATALOGUES / "messages.pot"
    extract = "extract . -F pyproject.toml -k _l --omit-header --add-location file"
    update = "update --init-missing --no-fuzzy-matching --ignore-obsolete"
    failed = babel(*extract.split(), "--no-wrap", "-o", template)
    for language in LANGUAGES:
        where = ("-i", template, "-d", CATALOGUES, "-l", language, "--no-wrap")
        failed = failed or babel(*update.split(), "--ignore-pot-creation-date", *where)
    compile_catalogues()
    return failed


def lock(arguments: list[str]) -> int:
    """Both locks anew; neither an index nor a path of this machine ends up in them."""
    prepare()
    how = "--universal --python-version 3.11 --fork-strategy fewest --generate-hashes --quiet"
    compile_lock = partial(
        python, *["-m", "uv", "pip", "compile", "pyproject.toml"], *how.split(), *arguments,
        "--custom-compile-command", "python3 dev.py lock", "--output-file",
    )  # fmt: skip
    same = ("--constraints", RUNTIME.name)
    return compile_lock(RUNTIME.name) or compile_lock(DEVELOPMENT.name, "--group", "dev", *same)


def setup(arguments: list[str]) -> int:
    if arguments == ["--production"]:
        prepare(RUNTIME)
        say("Todo listo en .venv para servir el portal.")
        return 0
    prepare()
    browser = with_browser().get("CHROMIUM", "el de Playwright")
    say(f"Todo listo en .venv; navegador: {browser}")
    return 0


VERBS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "run": (run, "[--port N] [--data DIR]: abre el portal de demostración en el puerto 8000"),
    "test": (test, "[--long] [opciones de pytest]: todo lo que se comprueba, con navegador"),
    "check": (check, "lo que cada commit debe cumplir: estilo, tipos, flechas y pruebas secas"),
    "e2e": (e2e, "[opciones de pytest]: solo las pruebas con navegador"),
    "bench": (bench, "[nombre…]: las mediciones de bench/"),
    "shots": (shots, "retrata las pantallas"),
    "i18n": (i18n, "recoge los textos y pone al día los catálogos"),
    "lock": (lock, "[--upgrade]: rehace los dos archivos de versiones fijas"),
    "setup": (
        setup,
        "[--production]: prepara .venv y los catálogos; sin eso, también el navegador",
    ),
}


def main(arguments: list[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name not in VERBS:
        lines = (f"  {verb:<6} {line}" for verb, (_, line) in VERBS.items())
        say("\n".join(["Uso: python3 dev.py VERBO …", "", *lines]))
        return 0 if name in ("-h", "--help") else 2
    try:
        return VERBS[name][0](rest)
    except Trouble as trouble:
        say(str(trouble))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
