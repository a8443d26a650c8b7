"""What orders do later."""

from celery import shared_task

from cartsite.celery import one_at_a_time
from orders import mail, reminders


@shared_task
def send_owed_mail() -> None:
    """Send the mail that is owed and due."""
    mail.send_owed()


@shared_task
@one_at_a_time
def owe_reminders() -> None:
    """Owe the reminders of entries that begin soon."""
    reminders.owe_due()
