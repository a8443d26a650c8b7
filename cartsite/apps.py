"""How Django finds the frame's models and checks."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.core.checks import register

from cartsite.checks import https_needs_a_listed_proxy
from cartsite.reauthentication import note_any_sign_in


class CartsiteConfig(AppConfig):
    name = "cartsite"
    verbose_name = "People, mail and cases"

    def ready(self) -> None:
        """Have the check known before anything starts, and hear of every sign-in, whoever lets people in."""
        register(https_needs_a_listed_proxy, "proxies", deploy=True)
        user_logged_in.connect(note_any_sign_in, dispatch_uid="note_any_sign_in")
