"""Taking one step in somebody's name: done and logged, or refused in plain words with nothing moved."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from cartsite.backoffice import log, person_of
from cartsite.reauthentication import require_recent_sign_in_of_staff
from cartsite.refusals import Conflict, Refusal
from cartsite.staff_actions import Refused
from payments.models import Refund
from payments.refunds import MAY_APPROVE, approve
from payments.sumup import SumUpError

REFUSALS = (Refusal, SumUpError)

__all__ = ["REFUSALS", "Refused", "approve_all", "ask", "in_words", "may_approve", "refused_in_words", "take"]


@contextmanager
def refused_in_words() -> Iterator[None]:
    """Turn what is refused inside into Refused, with a sentence for staff. A Conflict stays one: they look again."""
    try:
        yield
    except Conflict:
        raise
    except REFUSALS as refusal:
        raise Refused(in_words(refusal)) from refusal


def ask(question: Callable[[], Any]) -> Any:
    """What the question answers. Raises Refused, or Conflict as the question does."""
    with refused_in_words():
        return question()


def take(request: HttpRequest, row: Model, step: Callable[[], Any], what: str, *, asks_sumup: bool = False) -> Any:
    """What the step answers, once it is done and logged about the row. Raises Refused.

    Both are one transaction, but for steps that ask SumUp: those hold no transaction open meanwhile. Raises
    SignInTooOld, before anything is done, for staff who signed in long ago.
    """
    require_recent_sign_in_of_staff(request)
    with refused_in_words(), nullcontext() if asks_sumup else transaction.atomic():
        answer = step()
        log(request, row, what)
    return answer


def in_words(refusal: Exception) -> str:
    """A refusal as a sentence for staff."""
    if isinstance(refusal, SumUpError):
        return _("SumUp gave no answer that helps, so nothing was done here: %(why)s.") % {"why": refusal}
    return str(refusal)


def may_approve(request: HttpRequest) -> bool:
    """Whether this person may let refunds be sent."""
    return request.user.has_perm(MAY_APPROVE)


def approve_all(request: HttpRequest, asked: list[Refund]) -> int:
    """Let these refunds be sent, if this person may; how many were."""
    if not may_approve(request):
        return 0
    return sum(approve(refund, by=person_of(request)) for refund in asked)
