"""Who comes, and what the organisers need to know of them: personal data, in rows that may be erased."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from bookings.models.calendars import Calendar, Series
from bookings.models.places import Booking
from cartsite.versions import Versioned


class Question(Versioned):
    """What is asked about everybody who comes to a calendar's entries, or to those of one series."""

    class Kind(models.TextChoices):
        TEXT = "text", _("Text")
        CHOICE = "choice", _("One of several")
        YES_NO = "yes_no", _("Yes or no")

    # What may be answered to a question of yes or no: as it is kept, and as people read it.
    YES_OR_NO: ClassVar = {"yes": _("Yes"), "no": _("No")}

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="questions")
    series = models.ForeignKey(Series, null=True, blank=True, on_delete=models.PROTECT, related_name="questions")
    text = models.CharField(max_length=200)
    help_text = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.TEXT)
    choices = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    is_required = models.BooleanField(_("required"), default=False)
    position = models.PositiveSmallIntegerField(default=0)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.text


class Attendee(models.Model):
    """Somebody who comes: the first, second... place of an order's line, and their booking once there is one."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order_line = models.ForeignKey("orders.OrderLine", on_delete=models.PROTECT, related_name="attendees")
    number = models.PositiveSmallIntegerField(help_text=_("From 1, within the line."))
    booking = models.OneToOneField(
        Booking, null=True, blank=True, on_delete=models.PROTECT, related_name="attendee", editable=False
    )
    name = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["order_line", "number"]
        constraints = [
            models.UniqueConstraint(fields=["order_line", "number"], name="attendee_once_per_line_and_number")
        ]

    def __str__(self) -> str:
        return self.name or str(self.number)


class Answer(models.Model):
    """What was said about one attendee."""

    attendee = models.ForeignKey(Attendee, on_delete=models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="answers")
    text = models.CharField(max_length=1000)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attendee", "question"], name="answer_once_per_attendee_and_question")
        ]

    def __str__(self) -> str:
        return str(self.question_id)

    @property
    def words(self) -> str:
        """The answer as people read it."""
        is_yes_or_no = self.question.kind == Question.Kind.YES_NO
        return str(Question.YES_OR_NO.get(self.text, self.text)) if is_yes_or_no else self.text
