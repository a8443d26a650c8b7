"""What payments do later and on a timer."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from cartsite.celery import one_at_a_time
from payments import calling_off, closing, history, late, refunds, releasing, sweeping


@shared_task
@one_at_a_time
def sweep_payments() -> None:
    """Look at the payments that are due."""
    sweeping.sweep()


@shared_task
@one_at_a_time
def sweep_releases() -> None:
    """Go on letting go of orders that are not paid."""
    releasing.sweep()


@shared_task
def look_at(payment_id: int) -> None:
    """Somebody knocked: look at this payment now."""
    sweeping.look_now(payment_id)


@shared_task
@one_at_a_time
def sweep_refunds() -> None:
    """Send the refunds that are approved, and look for those in doubt."""
    refunds.sweep()


@shared_task
@one_at_a_time
def sweep_called_off() -> None:
    """Go on with the orders whose entry was called off."""
    calling_off.sweep()


@shared_task
@one_at_a_time
def decide_late_payments() -> None:
    """Send back the late money that nobody decided about in time."""
    late.send_back_by_itself()


@shared_task
@one_at_a_time
def read_history() -> None:
    """Find what was refunded, charged back or paid without our knowing."""
    history.sweep()


@shared_task
@one_at_a_time
def close_days() -> None:
    """Close the days that are over; what takes longer goes on next time."""
    closing.close_due(stop_at=timezone.now() + timedelta(minutes=5))
