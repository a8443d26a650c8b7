"""Signing in with a name or an e-mail address."""

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cartsite.models import User

# The demo's sign-ins are printed in the README, so they must be worth nothing in a real shop: neither the addresses
# nor, whatever became of those, the password.
DEMO_ADDRESSES = ("staff@demo.test", "shopper@demo.test")
DEMO_PASSWORD = "demo"  # noqa: S105


class SignInForm(AuthenticationForm):
    """Django's own, with words that fit: names and addresses are found in any case."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("We know nobody by this name or address with this password."),
    }


class NameOrEmailBackend(ModelBackend):
    """Django's own password check; the manager finds the person by either, without regard to case."""

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and (settings.DEMO or user.email not in DEMO_ADDRESSES)

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if password == DEMO_PASSWORD and not settings.DEMO:
            return None
        try:
            return super().authenticate(request, username=username, password=password, **kwargs)
        except User.MultipleObjectsReturned:
            return None
