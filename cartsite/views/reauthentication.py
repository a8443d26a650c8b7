"""The page that asks somebody who is signed in to show again who they are, before a step goes on.

It stands at the step's own address and carries all that was posted there, so that nothing is lost and nothing is kept:
its answer is judged before the step's view is called, and then the view gets the form that was held up.
"""

from collections.abc import Callable, Iterator
from typing import Any, Self

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.code_verification import AbstractCodeVerificationProcess
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy as _

from cartsite.limits import network_of, take_try
from cartsite.models import User
from cartsite.reauthentication import SignInTooOld, note_sign_in
from cartsite.signin import CodeForm, PasswordAgainForm

# The page's own fields: no form of ours has any that begin like this.
PREFIX = "again"
SEND_ANOTHER = f"{PREFIX}-send"
WAS_GET = f"{PREFIX}-get"

CODE_IS_OVER = _("That code is too old, or was tried too often. Please ask for a new one.")
TOO_MANY_CODES = _("We have sent you several codes. Please use the newest, or wait a few minutes.")


class MailedCode(AbstractCodeVerificationProcess):
    """A code that is mailed to somebody who has no password, and works in their session."""

    SESSION_KEY = "reauthentication_code"

    def __init__(self, request: HttpRequest, state: dict[str, Any]) -> None:
        super().__init__(settings.CODE_TRIES, settings.CODE_LASTS, state)
        self.request = request

    @classmethod
    def pending(cls, request: HttpRequest) -> Self | None:
        """The code that was sent, while it works."""
        state = request.session.get(cls.SESSION_KEY)
        return cls(request, state).abort_if_invalid() if state else None

    @classmethod
    def send_new(cls, request: HttpRequest) -> bool:
        """Send another code in place of any before; False if that was done too often."""
        if not take_try("mailed_code", f"account {request.user.pk}", network_of(request.META["REMOTE_ADDR"])):
            return False
        code = cls(request, cls.initial_state(request.user))
        code.send()
        code.persist()
        return True

    def send(self) -> None:
        adapter = get_adapter()
        self.state["code"] = adapter.generate_login_code()
        adapter.send_mail("account/email/reauthentication_code", self.user.email, {"code": self.code})

    def persist(self) -> None:
        self.request.session[self.SESSION_KEY] = self.state

    def abort(self) -> None:
        self.request.session.pop(self.SESSION_KEY, None)

    def may_be_tried(self) -> bool:
        """Count one try, also of those made at once; the code ends where there were too many."""
        may = take_try("code", str(self.state["at"]), self.state["user_id"])
        if not may:
            self.abort()
        return may


# --- Around every view ------------------------------------------------------------------------------------------------


class AskAgain:
    """Middleware: shows the page where a step raises SignInTooOld, and judges its answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Ask, and send the code that is needed for that."""
        if not isinstance(exception, SignInTooOld):
            return None
        return _or_say_that_mail_is_down(lambda: _begin(request, exception.without))

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        """With the right answer the view gets the form that was held up. Its CSRF token is checked by now."""
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return None
        if not any(_is_ours(name) for name in request.POST) or not request.user.is_authenticated:
            return None
        return _or_say_that_mail_is_down(lambda: _judge(request))


def _or_say_that_mail_is_down(answer: Callable[[], HttpResponseBase | None]) -> HttpResponseBase | None:
    try:
        return answer()
    except ImmediateHttpResponse as down:
        response: HttpResponseBase = down.response
        return response


# --- Asking -----------------------------------------------------------------------------------------------------------


def _begin(request: HttpRequest, without: str) -> HttpResponse:
    """Ask for the password; of somebody who has none, for the code that was mailed."""
    if _person(request).has_usable_password():
        return _ask(request, PasswordAgainForm(user=request.user, prefix=PREFIX), without=without)
    problem = "" if MailedCode.pending(request) or MailedCode.send_new(request) else TOO_MANY_CODES
    return _ask(request, CodeForm(prefix=PREFIX), problem=problem, without=without)


def _ask(request: HttpRequest, form: Form, *, problem: Any = "", without: str = "") -> HttpResponse:
    shown = {
        "form": form,
        "by_code": isinstance(form, CodeForm),
        "problem": problem,
        "held_up": list(_held_up(request, without)),
        "minutes": settings.CODE_LASTS // 60,
        "send_another": SEND_ANOTHER,
        "was_get": WAS_GET if request.method == "GET" or WAS_GET in request.POST else "",
    }
    response = render(request, "account/reauthenticate.html", shown, status=422)
    add_never_cache_headers(response)
    return response


def _held_up(request: HttpRequest, without: str) -> Iterator[tuple[str, str]]:
    """The fields of the form that waits, but for passwords: a page shows none."""
    for name, values in request.POST.lists():
        if name not in {"csrfmiddlewaretoken", without} and not _is_ours(name) and "password" not in name:
            yield from ((name, value) for value in values)


# --- Judging ----------------------------------------------------------------------------------------------------------


def _judge(request: HttpRequest) -> HttpResponse | None:
    """The page once more; None once the answer is right and the form may go on."""
    if _person(request).has_usable_password():
        form = PasswordAgainForm(request.POST, user=request.user, prefix=PREFIX)
        return _go_on(request) if form.is_valid() else _ask(request, form)
    if SEND_ANOTHER in request.POST:
        sent = MailedCode.send_new(request)
        return _ask(request, CodeForm(prefix=PREFIX), problem="" if sent else TOO_MANY_CODES)
    code = MailedCode.pending(request)
    if code is None or not code.may_be_tried():
        return _ask(request, CodeForm(prefix=PREFIX), problem=CODE_IS_OVER)
    form = CodeForm(request.POST, code=code.code, prefix=PREFIX)
    if form.is_valid():
        code.abort()  # it works once
        return _go_on(request)
    return _ask(request, form, problem="" if code.record_invalid_attempt() else CODE_IS_OVER)


def _go_on(request: HttpRequest) -> HttpResponse | None:
    """Let the form go on that was held up; to a page that was only to be seen, lead back."""
    request.session.cycle_key()  # whoever copied the cookie before has not shown who they are
    note_sign_in(request)
    if WAS_GET in request.POST:
        return HttpResponseRedirect(request.get_full_path())
    posted = request.POST.copy()
    for name in filter(_is_ours, list(posted)):
        del posted[name]
    request.POST = posted  # type: ignore[assignment]
    return None


def _is_ours(name: str) -> bool:
    return name.startswith(f"{PREFIX}-")


def _person(request: HttpRequest) -> User:
    """Whoever is signed in."""
    return User.objects.get(pk=request.user.pk or 0)
