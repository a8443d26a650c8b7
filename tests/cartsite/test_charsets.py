"""A body in an encoding that nobody reads is a bad request: whoever asks, for whatever, and never a fault of ours."""

import json
import logging
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.test.client import FakePayload

from cartsite.charsets import is_readable
from cartsite.wsgi import application

pytestmark = pytest.mark.django_db

BAD = [
    "nonsense",
    "rot13",
    "base64",
    "hex",
    "zip",
    "idna",
    "punycode",
    "undefined",
    "unicode_escape",
    "utf-16",
    "utf-7",
    "cp037",
    "",
    '"a b"',
    "\x00",
    "ü",
    "x" * 5000,
]
FORM, JSON, PARTS = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b"
PAGES = ["/", "/cart/items/", "/checkout/", "/sign-in/", "/account/sign-up/", "/admin/login/", "/nowhere/", "/healthz"]
FOR_MACHINES = ["/internal/stock/HONEY", "/internal/nowhere", "/webhooks/sumup/abc"]


def ask(path: str, content_type: str, query: str = "x=1", method: str = "POST") -> tuple[int, dict[str, str], str]:
    """What the whole application answers, as gunicorn asks it: the status, the headers and the body."""
    body = b"name=a"
    environ: dict[str, Any] = Client()._base_environ(  # type: ignore[attr-defined]
        PATH_INFO=path, REQUEST_METHOD=method, QUERY_STRING=query, CONTENT_TYPE=content_type
    )
    environ |= {"wsgi.input": FakePayload(body), "CONTENT_LENGTH": str(len(body)), "wsgi.errors": StringIO()}
    said: list[Any] = []
    answer = application(environ, lambda status, headers, _error=None: said.extend([status, dict(headers)]))
    text = b"".join(answer).decode()
    return int(said[0].split()[0]), said[1], text


@pytest.mark.parametrize("charset", BAD)
def test_a_bad_charset_is_a_bad_request_on_every_page(charset: str, caplog: pytest.LogCaptureFixture) -> None:
    for path in PAGES:
        for kind in (FORM, PARTS):
            for query in ("", "x=1"):
                status, headers, page = ask(path, f"{kind}; charset={charset}", query)

                assert (status, path) == (400, path)
                assert "sent something we could not read" in page
                assert "Content-Security-Policy" in headers

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("charset", BAD)
def test_machines_are_told_in_json(charset: str, caplog: pytest.LogCaptureFixture) -> None:
    for path in FOR_MACHINES:
        status, headers, text = ask(path, f"{JSON}; charset={charset}")

        assert (status, headers["Content-Type"]) == (400, "application/problem+json")
        assert json.loads(text)["status"] == 400

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_it_is_no_matter_of_posting(method: str) -> None:
    assert ask("/cart/", f"{FORM}; charset=rot13", method=method)[0] == 400


@pytest.mark.parametrize("parameter", ["charset*=nonsense''utf-8", "boundary*=nonsense''b"])
def test_nor_does_a_parameter_in_an_encoding_of_its_own_help(parameter: str) -> None:
    assert ask("/cart/", f"{FORM}; {parameter}")[0] == 400


def test_the_middleware_judges_by_itself_where_no_wsgi_server_is_in_front(client: Client) -> None:
    answer = client.generic("POST", "/cart/items/", b"{}", content_type=f"{JSON}; charset=nonsense")

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        FORM,
        f"{FORM}; charset=UTF-8",
        f"{JSON};charset=utf8",
        f'{FORM}; charset="utf-8"',
        f"{FORM}; charset=latin-1",
    ],
)
def test_what_browsers_send_is_read(content_type: str) -> None:
    assert is_readable(content_type)
    assert ask("/cart/", content_type, method="GET")[0] == 200
