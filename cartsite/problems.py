"""RFC 9457 problem documents: how the JSON API says no."""

from typing import Any

from django.http import JsonResponse


def problem(status: int, title: str, detail: str, **more: Any) -> JsonResponse:
    """An `application/problem+json` answer with this HTTP status and two sentences for whoever reads the log."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JsonResponse(body, status=status, content_type="application/problem+json")
