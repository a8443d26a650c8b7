"""A request and its answer, without any socket: what the parts of the simulator pass to each other."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, unquote


class BadRequest(Exception):
    """The request makes no sense. The text says why, in a sentence."""


class NoSuchPath(Exception):
    """Nothing lives there."""


class NoSuchMethod(Exception):
    """Something lives there, but does not understand this method."""


@dataclass(frozen=True)
class Request:
    """What came in. `origin` is the simulator's own address, without a slash at the end."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    origin: str

    def parameter(self, name: str) -> str | None:
        """A parameter of the query string."""
        return _first(self.query, name)

    def field(self, name: str) -> str | None:
        """A field of a posted form."""
        return _first(self.body.decode("utf-8", "replace"), name)

    def document(self) -> dict[str, Any]:
        """The JSON object in the body, its fractions as exact decimals; BadRequest when there is none."""
        try:
            document = json.loads(self.body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise BadRequest("The body is not JSON.") from error
        if not isinstance(document, dict):
            raise BadRequest("The body is not a JSON object.")
        return document


@dataclass(frozen=True)
class Answer:
    """What goes out: after `delay` real seconds, or not at all when `lost`."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    lost: bool = False


Handler = Callable[..., Answer]
Routes = tuple[tuple[str, str, Handler], ...]


def find_handler(routes: Routes, method: str, path: str) -> tuple[Handler, list[str]]:
    """The handler for a path and the variable parts of the path; a * in a route stands for one such part."""
    known = False
    for route_method, route, handler in routes:
        pattern = re.escape(route).replace(r"\*", "([^/]+)")
        if match := re.fullmatch(pattern, path):
            if route_method == method:
                return handler, [unquote(part) for part in match.groups()]
            known = True
    raise NoSuchMethod if known else NoSuchPath


def answer_json(status: int, document: Any, **headers: str) -> Answer:
    """A JSON answer. Money in it is written as a plain number."""
    return Answer(status, json.dumps(document, default=write_number).encode(), headers=headers)


def answer_html(status: int, html: str) -> Answer:
    """A page for people."""
    return Answer(status, html.encode("utf-8", "replace"), "text/html; charset=utf-8")


def see_other(address: str) -> Answer:
    """Go and look there, after a form was posted."""
    return Answer(303, content_type="text/plain", headers={"Location": address})


def write_number(amount: Decimal) -> int | float:
    """The amount as SumUp writes it: 10, not 10.0. With two decimals a float is written exactly."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _first(encoded: str, name: str) -> str | None:
    return next(iter(parse_qs(encoded, keep_blank_values=True).get(name, ())), None)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")
