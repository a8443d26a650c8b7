"""What concerns every room, on a timer."""

from celery import shared_task
from django.core.management import call_command

from cartsite import agreements, case_alerts, heartbeats, mail_on_request
from cartsite.celery import one_at_a_time
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


@shared_task
def forget_mail_counts() -> None:
    """Delete how much mail went to whom on days that are over."""
    mail_on_request.forget_counts()


@shared_task
def note_beat() -> None:
    """Timed work arrives."""
    heartbeats.note("beat")


@shared_task
@one_at_a_time
def tell_of_cases() -> None:
    """Tell whoever is to be told of the cases that were opened."""
    case_alerts.tell_of_cases()
