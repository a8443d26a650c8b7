"""What bookings do on a timer."""

from celery import shared_task

from bookings import capacity


@shared_task
def give_expired_back() -> None:
    """Free what carts held too long, in batches small enough to never hold a lock for long."""
    while capacity.give_expired_back():
        pass
