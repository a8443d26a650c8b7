"""What concerns every room, on a timer."""

from celery import shared_task

from cartsite.models import Case


@shared_task
def wake_cases() -> None:
    """Bring snoozed cases back when their time has come."""
    Case.wake_up()
