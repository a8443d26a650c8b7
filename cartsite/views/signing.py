"""Signing in, up and out."""

from functools import wraps
from typing import Any

from allauth.account.utils import perform_login
from allauth.account.views import (
    ConfirmEmailVerificationCodeView,
    ConfirmLoginCodeView,
    ConfirmPasswordResetCodeView,
    RequestLoginCodeView,
    SignupView,
)
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from cartsite import cookies, limits
from cartsite.signin import AskForCodeForm, SignInForm
from cartsite.sorry import too_many
from cartsite.views.adapters import forget_messages

STAFF_PAGES = ("/admin/", "/door/")
TOO_OLD = _("That code is too old, or was replaced by a newer one. Please ask for a new one.")


def limited(view: Any) -> Any:
    """A view of which one address may not send the form too often."""

    @wraps(view)
    def within_limit(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and not limits.is_within(request, "signin"):
            return too_many(request)
        answer: HttpResponseBase = view(request, *args, **kwargs)
        return answer

    return never_cache(within_limit)


def sign_on() -> dict[str, str] | None:
    """What to call the co-operative's account service, and its part of the address; None if there is none."""
    apps = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    return next(({"id": app["provider_id"], "name": app["name"]} for app in apps), None)


class SignIn(LoginView):
    """Sign in with a name or an e-mail address and a password.

    Its page offers the code by mail first, but on the way to the back office the password: no code opens that.
    """

    template_name = "cartsite/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:  # type: ignore[override] # the stubs are of a later Django
        """Where to go on: not back here."""
        url = super().get_redirect_url()
        return "" if url.partition("?")[0] == self.request.path else url

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(code_form=AskForCodeForm(), sign_on=sign_on(), **kwargs)
        context["password_first"] = self.get_redirect_url().startswith(STAFF_PAGES)
        if context["password_first"]:
            context["code_form"].fields["email"].widget.attrs.pop("autofocus", None)
            context["form"].fields["username"].widget.attrs["autofocus"] = True
        return context

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Let them in. Whoever has a password had proved their address before, or was given the account by staff."""
        user, url = form.get_user(), self.get_redirect_url()
        answer: HttpResponse = perform_login(self.request, user, email_verification="none", redirect_url=url)
        return answer


class KnowsWhereNext:
    """A page that passes on where its visitor is heading, if that is an address of ours."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        return context | {"next": self.get_next_url() or "", "sign_on": sign_on()}  # type: ignore[attr-defined]


class AskForCode(KnowsWhereNext, RequestLoginCodeView):
    """Have a code mailed to sign in with."""

    template_name = "cartsite/sign_in.html"

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: Any) -> None:
        """Whoever waits for a code may yet ask for another one."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return context | {"code_form": context["form"], "form": SignInForm(self.request)}


class SignUp(KnowsWhereNext, SignupView):
    """Make an account."""


class TakesCode(KnowsWhereNext):
    """A page that takes the code from a mail, and says so if it comes too late."""

    template_name = "account/confirm_code.html"
    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        waiting = getattr(self, "_process", None)
        if request.method == "POST" and waiting is None and not request.user.is_authenticated:
            messages.error(request, TOO_OLD)
        return answer

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Judge the code, but not if it was tried too often: the session alone counts too few of tries made at once."""
        process = self._process  # type: ignore[attr-defined]
        is_try = getattr(self, "_action", "verify") == "verify"
        if is_try and not limits.take_try("code", str(process.state["at"]), str(process.state.get("user_id"))):
            process.state["failed_attempts"] = process.max_attempts  # so the library ends the code, and says so
            return self.form_invalid(self.get_form())  # type: ignore[attr-defined, no-any-return]
        answer: HttpResponse = super().post(request, *args, **kwargs)  # type: ignore[misc]
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"minutes": settings.CODE_LASTS // 60}


class ConfirmSignIn(TakesCode, ConfirmLoginCodeView):
    """Type the code, and be signed in."""


class ConfirmAddress(TakesCode, ConfirmEmailVerificationCodeView):
    """Type the code, and the address is yours."""


class ConfirmReset(TakesCode, ConfirmPasswordResetCodeView):
    """Type the code, and choose a new password."""


class SignOut(LogoutView):
    """Sign out; the next person at this browser starts with an empty cart.

    Whoever gives up signing in comes here too, and keeps the basket that they filled without an account.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        was_signed_in = request.user.is_authenticated
        forget_messages(request)
        response = super().post(request, *args, **kwargs)
        if was_signed_in:
            messages.success(request, _("You are signed out."))
            cookies.drop(response, settings.CART_COOKIE)
        return response
