"""How the JSON API says no."""

from django.http import HttpResponse


def problem_in(answer: HttpResponse) -> int:
    """The status of a refusal, which is an RFC 9457 document with everything in it."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content
    document = answer.json()  # type: ignore[attr-defined]
    assert {"type", "title", "status", "detail"} <= document.keys()
    assert all(document[name] for name in ("type", "title", "detail"))
    assert document["status"] == answer.status_code
    return answer.status_code
