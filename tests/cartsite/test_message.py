"""Mail is owed once per occurrence, whoever says so and how often."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from cartsite.models import Message, User
from tests.concurrency import results_of, run_at_once

pytestmark = pytest.mark.django_db


def test_owing_the_same_mail_twice_is_owing_it_once(shopper: User) -> None:
    Message.owe(shopper, "confirmation")
    Message.objects.update(status="sent")

    Message.owe(shopper, "confirmation")

    assert Message.objects.get().status == "sent"


def test_another_occurrence_kind_or_subject_is_another_mail(shopper: User, staff: User) -> None:
    Message.owe(shopper, "confirmation")
    Message.owe(shopper, "confirmation", "again")
    Message.owe(shopper, "reminder")
    Message.owe(staff, "confirmation")

    assert Message.objects.count() == 4


def test_a_mail_is_owed_only_if_its_cause_commits(shopper: User) -> None:
    with transaction.atomic():
        Message.owe(shopper, "confirmation")
        transaction.set_rollback(True)

    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_eight_who_owe_the_same_mail_at_once_owe_it_once(shopper: User) -> None:
    results_of(run_at_once(*[lambda: Message.owe(shopper, "confirmation")] * 8))

    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "is_due"),
    [
        ({}, True),
        ({"status": "sent"}, False),
        ({"status": "failed"}, False),
        ({"next_try_at": timezone.now() + timedelta(hours=1)}, False),
        ({"leased_until": timezone.now() + timedelta(hours=1)}, False),
        ({"leased_until": timezone.now() - timedelta(hours=1)}, True),
    ],
)
def test_what_is_owed_free_and_timely_is_due(shopper: User, change: dict[str, object], is_due: bool) -> None:
    Message.owe(shopper, "confirmation")

    Message.objects.update(**change)

    assert Message.objects.due().exists() == is_due


@pytest.mark.django_db(transaction=True)
def test_a_mail_is_leased_to_one_of_those_who_ask_at_once(shopper: User) -> None:
    for occurrence in range(5):
        Message.owe(shopper, "confirmation", str(occurrence))

    def lease() -> list[int]:
        with transaction.atomic():
            return [message.pk for message in Message.objects.all().lease(2)]

    leased = [pk for pks in results_of(run_at_once(*[lease] * 4)) for pk in pks]

    assert len(leased) == len(set(leased)) <= 5
    assert Message.objects.filter(leased_until__gt=timezone.now()).count() == len(leased)


def test_an_answer_that_comes_too_late_does_not_undo_a_sent_mail(shopper: User) -> None:
    Message.owe(shopper, "confirmation")
    late = Message.objects.get()
    Message.objects.get().mark_sent()

    late.mark_failed_try(TimeoutError())

    assert Message.objects.get().status == "sent"
