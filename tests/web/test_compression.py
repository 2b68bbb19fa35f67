"""What leaves for a phone is compressed, whatever it is, and nothing is sent that nobody reads."""

import gzip
import re

import brotli
import pytest

from tests.web.test_budgets import BROTLI, text

CHROME = {"Accept-Encoding": "gzip, deflate, br, zstd"}


@pytest.mark.parametrize(("path", "status"), [("/entrar", 200), ("/nada", 404), ("/sw.js", 200)])
def test_pages_refusals_and_the_worker_come_in_brotli(visitor, path, status):
    answer = visitor().get(path, headers=CHROME)
    assert (answer.status_code, answer.headers["Content-Encoding"]) == (status, "br")
    assert "Accept-Encoding" in answer.vary
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert brotli.decompress(answer.data)


def test_a_refused_form_comes_in_brotli_too(visitor):
    answer = visitor().post("/entrar", data={"correo": "nadie"}, headers=BROTLI)
    assert answer.status_code == 422
    assert "nadie" in text(answer)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [("gzip, deflate", "gzip"), ("gzip, br;q=0", "gzip"), ("identity", None), ("zstd", None)],
)
def test_what_a_browser_cannot_read_it_does_not_get(visitor, accepted, chosen):
    answer = visitor().get("/entrar", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == chosen
    page = gzip.decompress(answer.data) if chosen else answer.data
    assert page.startswith(b"<!doctype html>")


@pytest.mark.parametrize("path", ["/citas", "/entrar//codigo"])
def test_a_redirect_has_no_page(visitor, path):
    answer = visitor().get(path, headers=CHROME)
    assert answer.location
    assert (answer.data, answer.headers.get("Content-Type")) == (b"", None)


def test_one_request_brings_htmx_and_what_makes_use_of_it(visitor, ana):
    scripts = re.findall(r'<script src="([^"]+)"', visitor(ana).get("/citas").text)
    assert len(scripts) == 1
    script = visitor().get(scripts[0]).text
    assert script.index("var htmx=") < script.index("htmx.config")
