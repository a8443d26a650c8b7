"""`manage.py load_demo`: the shop that `make demo` opens."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from cart.demo.loading import SIGN_INS, load
from orders.demo import load_offers


class Command(BaseCommand):
    help = "Load the demo shop; what is already there stays as people left it."

    def handle(self, *args: object, **options: object) -> None:
        """Load what is missing, and say what that was."""
        if not settings.DEMO:
            raise CommandError("The demo shop is only loaded where DEMO is on.")
        with transaction.atomic():
            loaded = load() | load_offers()
        if not any(loaded.values()):
            self.stdout.write("The demo shop is complete; nothing to load.")
            return
        self.stdout.write(f"Loaded {', '.join(f'{count} {kind}' for kind, count in loaded.items() if count)}.")
        self.stdout.write(f"Sign in as {' or '.join(SIGN_INS)}.")
