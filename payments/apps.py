"""How Django finds the payments' models and checks."""

from django.apps import AppConfig
from django.core.checks import register

from payments.checks import trying_out_needs_a_sandbox


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        """Have the check known before anything starts."""
        register(trying_out_needs_a_sandbox, "sumup")
