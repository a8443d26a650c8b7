"""What was typed at doors, once nobody needs it any more."""

from datetime import timedelta

from django.utils import timezone

from bookings.models import Scan

# In the field for codes people also type names.
KEPT_FOR = timedelta(days=30)


def forget_what_was_typed() -> int:
    """Empty what was typed long ago and was no ticket's code; of how many scans. What was answered stays."""
    old = Scan.objects.filter(booking=None, at__lt=timezone.now() - KEPT_FOR).exclude(typed="")
    return old.update(typed="")
