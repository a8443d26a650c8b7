"""What a browser sends of a page's form when nobody touches it."""

from html.parser import HTMLParser
from typing import Any

from django.test import Client

Fields = dict[str, list[str]]
NOT_SENT = {"submit", "button", "reset", "image", "file"}


def fields_of_form(page: str, form_id: str) -> Fields:
    """The fields of one form of a page, by name, each with the values that it has."""
    reader = _Form(form_id)
    reader.feed(page)
    return reader.fields


def open_form(client: Client, path: str) -> Fields:
    """Open the page of one record in the back office; what its form would send."""
    model = path.strip("/").split("/")[2]
    return fields_of_form(client.get(path).content.decode(), f"{model}_form")


def save_form(client: Client, path: str, seen: Fields | None = None, **typed: Any) -> Any:
    """Save a record's page as a browser does, with a few fields typed anew. The page was opened before, or is now."""
    return client.post(path, {**(open_form(client, path) if seen is None else seen), **typed})


def shown_by(client: Client, path: str) -> Fields:
    """What the form of a record's page says that it showed, for a form that is filled in by hand."""
    return {name: values for name, values in open_form(client, path).items() if name.endswith("opened")}


class _Form(HTMLParser):
    """Reads the fields of the form with one id."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.is_inside = form_id, False
        self.fields: Fields = {}
        self.area: str | None = None
        self.select: str | None = None
        self.options: list[tuple[str, bool]] = []
        self.is_many = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self.is_inside = has.get("id") == self.form_id
        name = has.get("name") or ""
        is_field = self.is_inside and name and "disabled" not in has and "__prefix__" not in name
        if tag == "input" and is_field:
            self._read_input(name, has)
        elif tag == "textarea" and is_field:
            self.area = name
            self.fields[name] = [""]
        elif tag == "select" and is_field:
            self.select, self.options, self.is_many = name, [], "multiple" in has
        elif tag == "option" and self.select:
            self.options.append((has.get("value") or "", "selected" in has))

    def handle_data(self, data: str) -> None:
        if self.area:
            self.fields[self.area][0] += data.removeprefix("\n") if not self.fields[self.area][0] else data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_inside = False
        elif tag == "textarea":
            self.area = None
        elif tag == "select" and self.select:
            chosen = [value for value, is_selected in self.options if is_selected]
            first = [value for value, _selected in self.options[:1]]
            if values := chosen or ([] if self.is_many else first):
                self.fields[self.select] = values
            self.select = None

    def _read_input(self, name: str, has: dict[str, str | None]) -> None:
        kind = has.get("type") or "text"
        if kind in NOT_SENT or (kind in {"checkbox", "radio"} and "checked" not in has):
            return
        self.fields.setdefault(name, []).append(has.get("value") or ("on" if kind == "checkbox" else ""))
