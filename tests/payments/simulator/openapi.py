"""Whether an answer fits what is known of SumUp's API: our own facts, and SumUp's description where it is at hand."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from . import facts

DOCUMENT = Path(__file__).parents[4] / "shared" / "sumup" / "openapi.json"
# Seen in real life: several faults come as a list of what is described as one object.
ALSO_LISTS = {("POST", "/v0.1/checkouts", 400)}
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}
FORMATS: dict[str, Callable[[str], object]] = {
    "date-time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "uri": urlsplit,
}


@cache
def description() -> dict[str, Any]:
    """The whole document."""
    return dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))


def faults_of(response: requests.Response) -> list[str]:
    """What in an answer does not fit our facts or, where it is at hand, the description. The rest fits."""
    method, path = response.request.method or "", urlsplit(response.url).path
    known = [find_fact(method, path, response.status_code)]
    if DOCUMENT.exists():
        known.append(find_schema(method, path, response.status_code))
    return [fault for schema in known for fault in _faults(response, (method, path, response.status_code), schema)]


def _faults(response: requests.Response, call: tuple[str, str, int], schema: dict[str, Any] | None) -> list[str]:
    if schema is None or not response.content or not response.headers["Content-Type"].endswith("json"):
        return []
    said = response.json()
    answers = said if call in ALSO_LISTS and isinstance(said, list) else [said]
    return [f"{call}: {fault}" for answer in answers for fault in mismatches(answer, schema, "$")]


def find_fact(method: str, path: str, status: int) -> dict[str, Any] | None:
    """The schema of an answer in our facts, or None when there is none."""
    for (asked, template), answers in facts.ANSWERS.items():
        if asked == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return answers.get(status)
    return None


def disagreements(fact: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    """Where a fact of ours says something else than SumUp: a field, a type or a value it does not know."""
    schema = flat(schema)
    if fact.get("type") != schema.get("type", fact.get("type")):
        yield f"{where}: {fact.get('type')}, but SumUp says {schema['type']}"
    if "enum" in schema and not set(fact.get("enum", ())) <= set(schema["enum"]):
        yield f"{where}: SumUp does not know {set(fact['enum']) - set(schema['enum'])}"
    for name, field in fact.get("properties", {}).items():
        if name not in schema.get("properties", {}):
            yield f"{where}: SumUp does not know {name}"
        else:
            yield from disagreements(field, schema["properties"][name], f"{where}.{name}")
    if "items" in fact and "items" in schema:
        yield from disagreements(fact["items"], schema["items"], f"{where}[]")


def flat(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with the fields of all that it is made of."""
    schema = resolve(schema)
    fields: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        fields |= flat(part).get("properties", {})
    return schema | {"properties": fields | schema.get("properties", {})}


def find_schema(method: str, path: str, status: int) -> dict[str, Any] | None:
    """The schema of an answer, or None when there is none."""
    for template, operations in description()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            answer = resolve(operations[method.lower()]["responses"].get(str(status), {}))
            return next((media["schema"] for media in answer.get("content", {}).values() if "schema" in media), None)
    return None


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """The thing itself, where there is only a reference to it."""
    while "$ref" in node:
        found: Any = description()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def mismatches(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Where and how a value differs from a schema."""
    schema = resolve(schema)
    if value is None and schema.get("nullable"):
        return
    for part in schema.get("allOf", ()):
        yield from mismatches(value, part, where)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices and all(any(mismatches(value, choice, where)) for choice in choices):
        yield f"{where}: {value!r} fits none of the choices"
    yield from plain_mismatches(value, schema, where)
    if isinstance(value, dict):
        yield from (f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        for name in value.keys() & schema.get("properties", {}).keys():
            yield from mismatches(value[name], schema["properties"][name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from mismatches(item, schema["items"], f"{where}[{number}]")


def plain_mismatches(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Type, listed values, bounds and format."""
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{where}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{where}: {value!r} is too small"
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{where}: {value!r} is too short or too long"
    if isinstance(value, str) and not has_format(value, schema.get("format", "")):
        yield f"{where}: {value!r} is no {schema['format']}"


def has_format(text: str, name: str) -> bool:
    """Whether a text has the format of that name; of most formats nothing is known here."""
    try:
        return name not in FORMATS or bool(FORMATS[name](text))
    except ValueError:
        return False
