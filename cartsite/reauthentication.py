"""Whether somebody signed in recently enough for a step that a stranger at their open browser must not take.

A sign-in is recent for settings.RECENT_SIGN_IN seconds. After that such a step raises SignInTooOld before it does
anything, and `cartsite.views.reauthentication` shows a page that asks for the password, or for a code from a mail.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

SESSION_KEY = "signed_in_at"


class SignInTooOld(Exception):
    """Nothing was done. The posted form goes on once its person has signed in again, without the field `without`."""

    def __init__(self, without: str = "") -> None:
        super().__init__("The sign-in is too old for this step.")
        self.without = without


def note_sign_in(request: HttpRequest) -> None:
    """Remember in the session that its person has just shown who they are."""
    request.session[SESSION_KEY] = timezone.now().timestamp()


def note_any_sign_in(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    """Receive Django's signal for a sign-in: by a password, a code, or the account service."""
    note_sign_in(request)


def is_recent(request: HttpRequest) -> bool:
    """Whether the session's person has shown recently who they are."""
    signed_in_at: float = request.session.get(SESSION_KEY, 0)
    return timezone.now().timestamp() - signed_in_at < float(settings.RECENT_SIGN_IN)


def require_recent_sign_in(request: HttpRequest, *, without: str = "") -> None:
    """Raise SignInTooOld for somebody who signed in too long ago; guests cannot sign in again, and are let through."""
    if request.user.is_authenticated and not is_recent(request):
        raise SignInTooOld(without)


def require_recent_sign_in_of_staff(request: HttpRequest, *, without: str = "") -> None:
    """Raise SignInTooOld for staff who signed in too long ago."""
    if request.user.is_authenticated and request.user.is_staff:
        require_recent_sign_in(request, without=without)


def recent_sign_in_required(*methods: str) -> Callable[[Any], Any]:
    """A view that answers these methods only to somebody who signed in recently."""

    def decorate(view: Any) -> Any:
        @wraps(view)
        def ask_first(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method in methods:
                require_recent_sign_in(request)
            answer: HttpResponseBase = view(request, *args, **kwargs)
            return answer

        return ask_first

    return decorate
