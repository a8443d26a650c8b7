"""What payments do later and on a timer."""

from celery import shared_task

from payments import releasing, sweeping


@shared_task
def sweep_payments() -> None:
    """Look at the payments that are due."""
    sweeping.sweep()


@shared_task
def sweep_releases() -> None:
    """Go on letting go of orders that are not paid."""
    releasing.sweep()


@shared_task
def look_at(payment_id: int) -> None:
    """Somebody knocked: look at this payment now."""
    sweeping.look_now(payment_id)
