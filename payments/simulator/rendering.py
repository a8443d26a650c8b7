"""Templates filled in, every value escaped."""

from functools import cache
from html import escape
from pathlib import Path
from string import Template

from payments.simulator.exchange import Answer, answer_html

PAGES = Path(__file__).parent / "pages"
# No script runs on these pages and nothing comes from elsewhere, whatever ends up in them.
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def fill(template: str, **values: str) -> Markup:
    """A template with its gaps filled; what is not Markup is escaped."""
    safe = {name: value if isinstance(value, Markup) else escape(value) for name, value in values.items()}
    return Markup(_template(template).substitute(safe))


def answer_page(status: int, template: str, title: str, **values: str) -> Answer:
    """A whole page: the template inside the layout that says on every page that this is a simulation."""
    html = fill("layout.html", title=title, content=fill(template, title=title, **values))
    answer = answer_html(status, html)
    answer.headers.update({"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
    return answer


def answer_message(status: int, title: str, sentence: str) -> Answer:
    """A page that only says something."""
    return answer_page(status, "message.html", title, sentence=sentence)


@cache
def _template(name: str) -> Template:
    return Template((PAGES / name).read_text(encoding="utf-8"))
