"""Preview, then confirm once: a page shows what a step comes to, and its form does the step at most once.

The form carries a token: a random name and a fingerprint of the facts that the page showed, signed for one step, one
row and one person. To show it costs no write. `once` writes its name down in the step's own transaction, where the
database keeps it unique: so a refusal leaves it unspent, of two posts at once the second waits for the first, and a
repeat is told what came of the first.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from cartsite.models import Agreement
from cartsite.reauthentication import require_recent_sign_in_of_staff
from cartsite.refusals import Conflict

# The name of the token's field in a form.
FIELD = "agreed"
# How old a page may be when its form is posted.
LONGEST_OPEN = timedelta(hours=12)
# How long what came of a step is kept: longer than its form can be posted.
KEPT = timedelta(days=2)


@dataclass(frozen=True)
class Outcome:
    """What came of a step: in words, and the path of the page that shows it."""

    words: str
    path: str


class Repeated(Exception):
    """The step was done before, and not again. `outcome` is what came of it then."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.words)
        self.outcome = outcome

    @property
    def words(self) -> str:
        """What came of it, for somebody who asked for it twice."""
        return f"{_('This was done already, and not again.')} {self.outcome.words}".rstrip()


@dataclass
class Promise:
    """What a person agreed to, while it is being done."""

    fingerprint: str
    since: int
    outcome: Outcome | None = None

    def check(self, fingerprint: str) -> None:
        """Raise Conflict unless this is the fingerprint that the page was made of."""
        if not constant_time_compare(self.fingerprint, fingerprint):
            raise Conflict(since=self.since)

    def conclude(self, words: str, path: str) -> Outcome:
        """Say what came of it; a repeat is told the same."""
        self.outcome = Outcome(words, path)
        return self.outcome


def fingerprint_of(*facts: Any) -> str:
    """Equal for equal facts: anything that JSON can say, and dates, amounts and UUIDs."""
    said = json.dumps(facts, cls=DjangoJSONEncoder, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


# --- Shown ------------------------------------------------------------------------------------------------------------


def offer(request: HttpRequest, step: str, subject: Model, fingerprint: str, *, since: int = 0) -> str:
    """The token for a form that is to do this step with this row once, if the facts are still the same.

    `since` marks where the row's history ended: a Conflict gives it back, to tell what has happened after that.
    """
    return signing.dumps([uuid.uuid4().hex, fingerprint, since], salt=_salt(request, step, subject))


def is_answered(request: HttpRequest, field: str = FIELD) -> bool:
    """Whether somebody said yes to a page, rightly or not."""
    return bool(request.POST.get(field))


# --- Done, once -------------------------------------------------------------------------------------------------------


@contextmanager
def once(request: HttpRequest, step: str, subject: Model, *, field: str = FIELD) -> Iterator[Promise]:
    """One transaction in which the step that was agreed to is done; its caller must `conclude` it.

    Enter it before anything is locked. Raises Conflict without a token that holds for this step, row and person,
    SignInTooOld for staff who signed in long ago (they come back to the preview, with what they typed), and Repeated if
    the step was done with this token before; whatever else is raised inside leaves the token unspent.
    """
    name, fingerprint, since = _read(request, step, subject, field)
    require_recent_sign_in_of_staff(request, without=field)
    promise = Promise(fingerprint, since)
    with transaction.atomic():
        # A second post waits here until the first has ended, one way or the other.
        kept, is_first = Agreement.objects.get_or_create(token=name, defaults={"step": step})
        if not is_first:
            raise Repeated(Outcome(kept.words, kept.path))
        yield promise
        if promise.outcome is None:
            raise ValueError(f"Nobody said what came of the step {step!r}.")
        Agreement.objects.filter(pk=kept.pk).update(words=promise.outcome.words, path=promise.outcome.path)


def raise_if_done(request: HttpRequest, step: str, subject: Model, *, field: str = FIELD) -> None:
    """Raise Repeated if the posted form has done its step: before its page looks at what may be done now."""
    try:
        name = _read(request, step, subject, field)[0]
    except Conflict:
        return
    kept = Agreement.objects.filter(token=name).first()
    if kept is not None:
        raise Repeated(Outcome(kept.words, kept.path))


def show(request: HttpRequest, outcome: Outcome) -> HttpResponse:
    """To the page that shows what came of a step, with the words for it."""
    if outcome.words:
        messages.success(request, outcome.words)
    return HttpResponseRedirect(outcome.path)


def show_again(request: HttpRequest, repeat: Repeated) -> HttpResponse:
    """To the page that the first post of the form led to, with the same words."""
    messages.info(request, repeat.words)
    return HttpResponseRedirect(repeat.outcome.path)


def forget_old() -> None:
    """Delete what came of steps whose forms cannot be posted any more."""
    Agreement.objects.filter(done_at__lt=timezone.now() - KEPT).delete()


# --- The token --------------------------------------------------------------------------------------------------------


def _salt(request: HttpRequest, step: str, subject: Model) -> str:
    """What binds a token: it fits no other step, row or person."""
    return f"agreements:{step}:{subject._meta.label_lower}:{subject.pk}:{_person(request)}"


def _person(request: HttpRequest) -> str:
    """The user; of somebody who is not signed in the browser, by the secret that its forms carry anyway."""
    if request.user.is_authenticated:
        return f"user {request.user.pk}"
    get_token(request)
    return f"browser {request.META['CSRF_COOKIE']}"


def _read(request: HttpRequest, step: str, subject: Model, field: str) -> tuple[str, str, int]:
    """The token's name, the fingerprint and the mark. Raises Conflict."""
    token = request.POST.get(field, "")
    try:
        name, fingerprint, since = signing.loads(token, salt=_salt(request, step, subject), max_age=LONGEST_OPEN)
    except signing.SignatureExpired as late:
        raise Conflict(_("You looked at this long ago. Nothing was done; this is how it is now.")) from late
    except signing.BadSignature as bad:
        raise Conflict from bad
    return name, fingerprint, since
