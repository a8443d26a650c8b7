"""What bookings do on a timer."""

from celery import shared_task

from bookings import capacity, scans, waiting
from cartsite.celery import one_at_a_time


@shared_task
def give_expired_back() -> None:
    """Free what carts held too long, in batches small enough to never hold a lock for long."""
    while capacity.give_expired_back():
        pass


@shared_task
@one_at_a_time
def sweep_waiting_lists() -> None:
    """Offer what came free to those who wait for it, and end what is over."""
    waiting.sweep()


@shared_task
def forget_who_waited() -> None:
    """Erase the personal data of those who never confirmed, or whose place in a line came to its end long ago."""
    waiting.forget_unconfirmed()
    waiting.purge_personal_data()


@shared_task
def forget_what_was_typed() -> None:
    """Erase what was typed at doors long ago, and was no code."""
    scans.forget_what_was_typed()
