"""What we keep about a shopper: to be seen, taken along, and erased."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cart.visitors import user_of
from cartsite import cookies, limits
from cartsite.models import User
from cartsite.reauthentication import recent_sign_in_required
from cartsite.sorry import too_many
from orders import personal_data, privacy


class EraseForm(forms.Form):
    """Asks once more: who types their own address has not pressed the button by mistake."""

    email = forms.CharField(
        label=gettext_lazy("Your e-mail address, to be sure"),
        max_length=254,
        error_messages={"required": gettext_lazy("Please type your e-mail address: nobody does this by mistake.")},
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, person: User, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.person = person

    def clean_email(self) -> str:
        typed: str = self.cleaned_data["email"]
        if typed.casefold() != self.person.email.casefold():
            raise forms.ValidationError(_("This is not the address of the account you are signed in with."))
        return typed


@never_cache
@login_required
@require_safe
def your_data(request: HttpRequest) -> HttpResponse:
    """What we keep about the signed-in shopper, why, and for how long."""
    person = _person_of(request)
    return render(request, "orders/privacy/your_data.html", {"person": person, "kept": personal_data.count(person)})


@never_cache
@login_required
@require_safe
def export_data(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """All of it as a JSON file."""
    if not limits.is_within(request, "export"):
        return too_many(request)
    return StreamingHttpResponse(
        personal_data.export(_person_of(request)),
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="rose-ash-your-data.json"'},
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@recent_sign_in_required("POST")
def erase_data(request: HttpRequest) -> HttpResponse:
    """What goes and what stays, or why it must wait; a POST with the shopper's own address does it."""
    person = _person_of(request)
    form = EraseForm(person, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        reasons = [hindrance.words for hindrance in privacy.hindrances_of(person)]
        return _ask(request, form, reasons, status=422 if form.is_bound else 200)
    try:
        privacy.erase_person(person, by=person)
    except privacy.CannotErase as refusal:
        return _ask(request, form, refusal.reasons, status=409)
    logout(request)
    messages.success(request, _("Your account and your personal data are erased."))
    response = redirect("cart:market")
    cookies.drop(response, settings.CART_COOKIE)
    return response


def _ask(request: HttpRequest, form: EraseForm, reasons: object, *, status: int) -> HttpResponse:
    context = {"form": form, "person": form.person, "reasons": reasons}
    return render(request, "orders/privacy/erase.html", context, status=status)


def _person_of(request: HttpRequest) -> User:
    """Whoever signed in: these pages are for nobody else."""
    person = user_of(request)
    assert person is not None  # noqa: S101 - login_required says so
    return person
