"""How Django finds the frame's models and checks."""

from django.apps import AppConfig
from django.core.checks import register

from cartsite.checks import https_needs_a_listed_proxy


class CartsiteConfig(AppConfig):
    name = "cartsite"
    verbose_name = "People, mail and cases"

    def ready(self) -> None:
        """Have the check known before anything starts."""
        register(https_needs_a_listed_proxy, "proxies", deploy=True)
