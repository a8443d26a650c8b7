"""People, mail that is owed to them, and cases a person must look at."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cartsite.celery import soon_by_name
from cartsite.constraints import ErrorsBesideFields
from cartsite.versions import Versioned


class Subject(Protocol):
    """Any row that mail, events or cases may be about: it has a UUID that never changes."""

    uuid: uuid.UUID
    _meta: ClassVar[Any]


def kind_of(subject: Subject | type[models.Model]) -> str:
    """The stable name of a subject's kind, such as `orders.order`."""
    return str(subject._meta.label_lower)


class People(UserManager["User"]):
    """Finds a person by what they type into the sign-in page."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(Q(username__iexact=username) | Q(email=username))


class LowercaseEmailField(models.EmailField):  # type: ignore[type-arg]
    """An address that is kept and looked for in small letters: however it is typed, it is the same mailbox."""

    def get_prep_value(self, value: Any) -> Any:
        prepared = super().get_prep_value(value)
        return prepared.lower() if isinstance(prepared, str) else prepared


class User(ErrorsBesideFields, Versioned, AbstractUser):
    """A person who signs in: a shopper or staff. Siblings know them by `uuid` only."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # No @ in it, so that a sign-in name can never be somebody else's e-mail address.
    username = models.CharField(
        _("sign-in name"),
        max_length=150,
        unique=True,
        validators=[RegexValidator(r"^[\w.+-]+\Z", _("Letters, digits and . + - _ only."))],
    )
    name = models.CharField(_("name"), max_length=200, blank=True)
    email = LowercaseEmailField(_("e-mail address"))
    # Their personal data is gone; the row stays, since what they did stays on record.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = People()  # type: ignore[misc]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique_in_any_case",
                violation_error_code="email",
                violation_error_message=_("Somebody else has this e-mail address."),
            ),
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_unique_in_any_case",
                violation_error_code="username",
                violation_error_message=_("Somebody else has this sign-in name."),
            ),
        ]
        permissions = [("erase_person", "Can erase people's personal data when they ask for it")]

    def get_full_name(self) -> str:
        return self.name or self.username

    def get_short_name(self) -> str:
        return self.get_full_name()


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self) -> Self:
        """Mail that is owed, whose time has come, and that nobody is sending at this moment."""
        now = timezone.now()
        free = Q(leased_until=None) | Q(leased_until__lt=now)
        return self.filter(free, status=Message.Status.OWED, next_try_at__lte=now).order_by("next_try_at")

    def lease(self, most: int, *, minutes: int = 5) -> list["Message"]:
        """Take up to `most` due messages for this process alone; call it inside a transaction."""
        taken = list(self.due().select_for_update(skip_locked=True)[:most])
        until = timezone.now() + timedelta(minutes=minutes)
        self.filter(pk__in=[message.pk for message in taken]).update(leased_until=until)
        return taken


class Message(models.Model):
    """One mail owed to someone. The row commits with the change that caused it; a sweep sends it.

    It holds no address and no text: who gets it and what it says is composed from its subject when it is sent.
    """

    class Status(models.TextChoices):
        OWED = "owed", _("Owed")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        DROPPED = "dropped", _("Not needed any more")

    MOST_TRIES = 12
    SENDER = "orders.tasks.send_owed_mail"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    subject_type = models.CharField(max_length=60)
    subject_uuid = models.UUIDField()
    kind = models.CharField(max_length=40)
    occurrence = models.CharField(max_length=60, default="", blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OWED)
    tries = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=300, default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    next_try_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject_type", "subject_uuid", "kind", "occurrence"], name="message_owed_once_per_occurrence"
            )
        ]
        indexes = [
            models.Index("next_try_at", condition=Q(status="owed"), name="message_owed_by_next_try"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.get_status_display()})"

    @classmethod
    def owe(cls, subject: Subject, kind: str, occurrence: str = "", *, not_before: datetime | None = None) -> None:
        """Write down that a mail is owed, to be sent soon or from a moment (UTC) on.

        Owing the same occurrence twice is owing it once.
        """
        cls.owe_all([subject], kind, occurrence, not_before=not_before)

    @classmethod
    def owe_all(
        cls, subjects: Iterable[Subject], kind: str, occurrence: str = "", *, not_before: datetime | None = None
    ) -> None:
        """The same mail about each of these rows, in one statement for all of them."""
        due = not_before or timezone.now()
        owed = [
            cls(subject_type=kind_of(row), subject_uuid=row.uuid, kind=kind, occurrence=occurrence, next_try_at=due)
            for row in subjects
        ]
        cls.objects.bulk_create(owed, ignore_conflicts=True)
        if owed and not_before is None:
            soon_by_name(cls.SENDER)

    def drop(self) -> None:
        """What it would say is not true any more, or there is nobody left to tell: it will not be sent."""
        Message.objects.filter(pk=self.pk, status=self.Status.OWED).update(
            status=self.Status.DROPPED, leased_until=None, last_error=""
        )

    def mark_sent(self) -> bool:
        """The mail server said yes; False if that was written down already."""
        owed = Message.objects.filter(pk=self.pk, status=self.Status.OWED)
        return bool(
            owed.update(
                status=self.Status.SENT, sent_at=timezone.now(), tries=F("tries") + 1, leased_until=None, last_error=""
            )
        )

    def mark_bounced(self, why: str) -> bool:
        """It came back for good, at once or after it was sent; False if it had failed, or was dropped, before.

        `why` holds no address.
        """
        went_out = Message.objects.filter(pk=self.pk, status__in=[self.Status.OWED, self.Status.SENT])
        return bool(went_out.update(status=self.Status.FAILED, leased_until=None, last_error=why[:300]))

    def note_delay(self, why: str) -> None:
        """Whoever carries it says that it is late; that changes nothing. `why` holds no address."""
        Message.objects.filter(pk=self.pk).exclude(status=self.Status.FAILED).update(last_error=why[:300])

    def try_again(self) -> bool:
        """Make a mail that is not sent due now, with all its tries; False if it was sent."""
        unsent = Message.objects.filter(pk=self.pk).exclude(status=self.Status.SENT)
        return bool(unsent.update(status=self.Status.OWED, tries=0, next_try_at=timezone.now(), leased_until=None))

    def mark_failed_try(self, error: Exception) -> bool:
        """Put the next try off, twice as long each time up to six hours; True if this was the last one."""
        last = self.tries + 1 >= self.MOST_TRIES
        wait = min(timedelta(minutes=1) * 2**self.tries, timedelta(hours=6))
        Message.objects.filter(pk=self.pk, status=self.Status.OWED).update(
            status=self.Status.FAILED if last else self.Status.OWED,
            tries=F("tries") + 1,
            next_try_at=timezone.now() + wait,
            leased_until=None,
            last_error=type(error).__name__,  # its text may hold an address
        )
        return last


class CaseQuerySet(models.QuerySet["Case"]):
    def unresolved(self) -> Self:
        return self.exclude(status=Case.Status.RESOLVED)

    def about(self, *subjects: Subject) -> Self:
        """Cases about any of the rows given."""
        return self.filter(subject_uuid__in=[subject.uuid for subject in subjects])


class Case(models.Model):
    """Something a person must look at; one per kind and subject while it is open."""

    class Kind(models.TextChoices):
        LATE_PAYMENT = "late_payment", _("Late payment")
        OVERPAID = "overpaid", _("Overpaid")
        AMOUNT_MISMATCH = "amount_mismatch", _("Amount differs")
        DUPLICATE_CAPTURE = "duplicate_capture", _("Paid twice")
        UNKNOWN_MONEY = "unknown_money", _("Unknown money")
        TAKINGS = "takings", _("Takings at card readers")
        MISSING_AT_SUMUP = "missing_at_sumup", _("Missing at SumUp")
        REFUND_UNKNOWN = "refund_unknown", _("Refund in doubt")
        REFUND_FAILED = "refund_failed", _("Refund failed")
        EXTERNAL_REFUND = "external_refund", _("Refunded at SumUp")
        CHARGEBACK = "chargeback", _("Charged back")
        ATTEMPT_STUCK = "attempt_stuck", _("Payment attempt stuck")
        ENTRY_CANCELLED = "entry_cancelled", _("Paid for a cancelled entry")
        OVERSOLD = "oversold", _("Oversold")
        MAIL_FAILED = "mail_failed", _("Mail failed")

    class Status(models.TextChoices):
        OPEN = "open", _("Open")
        SNOOZED = "snoozed", _("Snoozed")
        RESOLVED = "resolved", _("Resolved")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=30, choices=Kind.choices)
    subject_type = models.CharField(max_length=60)
    subject_uuid = models.UUIDField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    what_happened = models.TextField()
    at_stake = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    opened_at = models.DateTimeField(auto_now_add=True)
    # When the people in settings.ADMINS, or the hook, were told of it.
    told_at = models.DateTimeField(null=True, blank=True, editable=False)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(blank=True, default="")

    objects = CaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_type", "subject_uuid"],
                condition=~Q(status="resolved"),
                name="case_open_once_per_kind_and_subject",
            )
        ]
        indexes = [models.Index(fields=["subject_uuid"], name="case_by_subject")]

    def __str__(self) -> str:
        return self.get_kind_display()

    @classmethod
    def open(cls, kind: Kind, subject: Subject, what_happened: str, at_stake: Decimal | None = None) -> None:
        """Ask a person to look; while such a case is open, asking again changes nothing.

        `what_happened` is a plain sentence without personal data; `at_stake` is in pounds (the shop's currency).
        """
        case = cls(
            kind=kind,
            subject_type=kind_of(subject),
            subject_uuid=subject.uuid,
            what_happened=what_happened,
            at_stake=at_stake,
        )
        cls.objects.bulk_create([case], ignore_conflicts=True)

    @classmethod
    def settle(cls, kind: Kind, subject: Subject, note: str) -> None:
        """The doubt is gone by itself: resolve the open case of this kind, if there is one."""
        open_ones = cls.objects.unresolved().filter(kind=kind).about(subject)
        open_ones.update(status=cls.Status.RESOLVED, resolved_at=timezone.now(), note=note)

    def resolve(self, *, by: User | None, note: str) -> bool:
        """It is dealt with, and the note says how; False if it was resolved already.

        `by` is nobody where the shopper decided, or a rule that was promised to them.
        """
        unresolved = Case.objects.unresolved().filter(pk=self.pk)
        return bool(
            unresolved.update(status=self.Status.RESOLVED, resolved_at=timezone.now(), resolved_by=by, note=note)
        )

    def snooze(self, until: datetime, *, note: str) -> bool:
        """Put it out of sight until a moment (UTC); False if it was resolved already."""
        unresolved = Case.objects.unresolved().filter(pk=self.pk)
        return bool(unresolved.update(status=self.Status.SNOOZED, snoozed_until=until, note=note))

    @classmethod
    def wake_up(cls) -> int:
        """Bring the snoozed cases whose time has come back into sight; how many."""
        over = cls.objects.filter(status=cls.Status.SNOOZED, snoozed_until__lte=timezone.now())
        return over.update(status=cls.Status.OPEN)


class Agreement(models.Model):
    """A step that somebody agreed to on the page that showed it, and that was done; see `cartsite.agreements`.

    Its token is the name of the one form that did it. The row commits with the step, and tells a repeat how it went.
    """

    token = models.UUIDField(unique=True)
    step = models.CharField(max_length=60)
    words = models.TextField(default="")
    path = models.CharField(max_length=500, default="")
    done_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return self.step


class Suppression(models.Model):
    """An address whose owner wants no more of the mail that anybody can ask for; see `cartsite.mail_on_request`."""

    address_hash = models.CharField(max_length=32, unique=True, editable=False)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("address that wants no mail")
        verbose_name_plural = _("addresses that want no mail")

    def __str__(self) -> str:
        return self.address_hash[:8]


class MailCount(models.Model):
    """How much of the mail that anybody can ask for went to an address on one day (UTC)."""

    address_hash = models.CharField(max_length=32)
    day = models.DateField()
    sent = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["address_hash", "day"], name="mail_counted_once_a_day")]
        indexes = [models.Index(fields=["day"], name="mail_counts_by_day")]

    def __str__(self) -> str:
        return f"{self.address_hash[:8]}: {self.sent}"


class Heartbeat(models.Model):
    """When a kind of process was last heard of: one row each, written every 15 seconds."""

    who = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.who
