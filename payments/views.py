"""SumUp's knock at the door."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from cartsite.celery import soon
from payments import schedule
from payments.models import Payment
from payments.tasks import look_at


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, token: str) -> HttpResponse:
    """Something may have changed: bring the payment's next look forward. The same answer for known and unknown tokens.

    The body is unsigned, so it decides nothing and is not even read (contract, section 6).
    """
    payment = Payment.objects.filter(webhook_token=token).only("pk").first()
    if payment is not None:
        schedule.look_soon(payment.pk)
        soon(look_at, payment.pk)
    return HttpResponse(status=204)
