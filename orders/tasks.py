"""What orders do later."""

from celery import shared_task

from orders import mail


@shared_task
def send_owed_mail() -> None:
    """Send the mail that is owed and due."""
    mail.send_owed()
