"""Links of the back office that would lead somebody to a refusal are shown as plain words."""

import re
from functools import cache
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse


def unlink_dead_ends(request: HttpRequest, page: Any) -> Any:
    """The same page, of which each link to rows that this person may not look at keeps its words only.

    Django links a row to all that it refers to, whoever looks at it, and so do columns and pages of ours. What is no
    page that is drawn later, such as a redirect, is left as it is.
    """

    def unlink(drawn: Any) -> None:
        drawn.content = _links().sub(lambda link: _keep_or_unlink(request, link), drawn.content.decode())

    if isinstance(page, TemplateResponse):
        page.add_post_render_callback(unlink)
    return page


@cache
def _links() -> re.Pattern[str]:
    """A link to rows of one model: the app, the model, and the words, which are never those of a link inside it."""
    start = re.escape(reverse("admin:index"))
    return re.compile(rf'<a\b[^>]*\bhref="{start}(\w+)/(\w+)/[^"]*"[^>]*>((?:(?!<a\b).)*?)</a>', re.DOTALL)


def _keep_or_unlink(request: HttpRequest, link: re.Match[str]) -> str:
    app, name, words = link.groups()
    return str(link[0] if _may_open(request, app, name) else words)


def _may_open(request: HttpRequest, app: str, name: str) -> bool:
    """Whether this person may look at the rows of a model; also for what is no model."""
    try:
        model = apps.get_model(app, name)
    except LookupError:
        return True
    return not admin.site.is_registered(model) or admin.site.get_model_admin(model).has_view_or_change_permission(
        request
    )
