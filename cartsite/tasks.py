"""What concerns every room, on a timer."""

from celery import shared_task
from django.core.management import call_command

from cartsite import agreements
from cartsite.models import Case


@shared_task
def wake_cases() -> None:
    """Bring snoozed cases back when their time has come."""
    Case.wake_up()


@shared_task
def clear_sessions() -> None:
    """Delete the sessions that are over: they may hold the address that somebody signed in with."""
    call_command("clearsessions")


@shared_task
def forget_agreements() -> None:
    """Delete what came of confirmed steps once their forms cannot be posted any more."""
    agreements.forget_old()
