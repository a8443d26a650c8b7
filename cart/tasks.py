"""What carts do on a timer."""

from celery import shared_task

from cart import services


@shared_task
def purge_abandoned() -> None:
    """Delete carts nobody came back to, a few at a time."""
    while services.purge_abandoned():
        pass
