"""Taking one step in somebody's name: done and logged, or refused in plain words with nothing moved."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from cartsite.backoffice import log, person_of
from cartsite.reauthentication import require_recent_sign_in_of_staff
from cartsite.staff_actions import Refused
from payments.calling_off import CannotCallOff
from payments.cancelling import CannotCancel
from payments.casework import CannotDo
from payments.closing import BeingClosed
from payments.models import Refund
from payments.refunds import MAY_APPROVE, CannotRefund, approve
from payments.releasing import CannotRelease
from payments.sumup import SumUpError

REFUSALS = (CannotRefund, CannotCancel, CannotCallOff, CannotDo, CannotRelease, BeingClosed, SumUpError)


__all__ = ["REFUSALS", "Refused", "approve_all", "ask", "in_words", "may_approve", "take"]


def ask(question: Callable[[], Any]) -> Any:
    """What the question answers. Raises Refused."""
    try:
        return question()
    except REFUSALS as refusal:
        raise Refused(in_words(refusal)) from refusal


def take(request: HttpRequest, row: Model, step: Callable[[], Any], what: str, *, asks_sumup: bool = False) -> Any:
    """What the step answers, once it is done and logged about the row. Raises Refused.

    Both are one transaction, but for steps that ask SumUp: those hold no transaction open meanwhile. Raises
    SignInTooOld, before anything is done, for staff who signed in long ago.
    """
    require_recent_sign_in_of_staff(request)
    try:
        with nullcontext() if asks_sumup else transaction.atomic():
            answer = step()
            log(request, row, what)
    except REFUSALS as refusal:
        raise Refused(in_words(refusal)) from refusal
    return answer


def in_words(refusal: Exception) -> str:
    """A refusal as a sentence for staff."""
    if isinstance(refusal, SumUpError):
        return _("SumUp gave no answer that helps, so nothing was done here: %(why)s.") % {"why": refusal}
    if isinstance(refusal, BeingClosed):
        return _("Another process is at work on this day. Look again in a minute.")
    if isinstance(refusal, CannotRelease):
        return _(
            "%(number)s cannot be cancelled: it is over, partly handed out, ends already, or its money is in doubt."
        ) % {"number": refusal}
    return str(refusal)


def may_approve(request: HttpRequest) -> bool:
    """Whether this person may let refunds be sent."""
    return request.user.has_perm(MAY_APPROVE)


def approve_all(request: HttpRequest, asked: list[Refund]) -> int:
    """Let these refunds be sent, if this person may; how many were."""
    if not may_approve(request):
        return 0
    return sum(approve(refund, by=person_of(request)) for refund in asked)
