"""A person's account: what they are called, their address, their password, and what it is connected to."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.views import EmailView
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.generic import FormView

from cart.visitors import user_of
from cartsite.reauthentication import require_recent_sign_in
from cartsite.signin import NameForm
from cartsite.views.signing import sign_on


@never_cache
@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """All of it on one page, with links to change it."""
    user = user_of(request)
    confirmed = EmailAddress.objects.filter(user=user, email=user.email if user else "", verified=True).exists()
    shown = {"confirmed": confirmed, "sign_on": sign_on(), "connected": SocialAccount.objects.filter(user=user)}
    return render(request, "account/overview.html", shown)


@never_cache
@login_required
def change_name(request: HttpRequest) -> HttpResponse:
    """Another name, or none."""
    form = NameForm(request.POST or None, instance=user_of(request))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Your name is changed."))
        return redirect("account")
    return render(request, "account/name.html", {"form": form})


class ChangeAddress(EmailView):
    """Another address, once the code that is sent there was typed."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Send a code to the new address, or once more to the one there is: nothing else that the library offers."""
        if "action_send" not in request.POST:
            require_recent_sign_in(request)
            return FormView.post(self, request, *args, **kwargs)
        answer: HttpResponse = super().post(request, *args, **kwargs)
        return answer


@login_required
def connections(request: HttpRequest) -> HttpResponse:
    """Part with the account service: a code by mail still opens the account."""
    chosen = request.POST.get("account", "")
    if request.method == "POST" and chosen.isdecimal() and len(chosen) < 19:
        SocialAccount.objects.filter(user=user_of(request), pk=chosen).delete()
        messages.success(request, _("The two accounts are not connected any more."))
    return redirect("account")
