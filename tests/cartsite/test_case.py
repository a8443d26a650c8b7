"""A person is asked to look once, until somebody has."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from cartsite.models import Case, User
from tests.concurrency import results_of, run_at_once

pytestmark = pytest.mark.django_db

LATE = Case.Kind.LATE_PAYMENT


def test_asking_again_while_a_case_is_open_changes_nothing(shopper: User) -> None:
    Case.open(LATE, shopper, "First.", at_stake=Decimal(5))

    Case.open(LATE, shopper, "Second.", at_stake=Decimal(9))

    case = Case.objects.get()
    assert (case.what_happened, case.at_stake, case.status) == ("First.", Decimal(5), "open")
    assert (case.subject_type, case.subject_uuid) == ("cartsite.user", shopper.uuid)


def test_a_snoozed_case_counts_as_open(shopper: User) -> None:
    Case.open(LATE, shopper, "First.")
    Case.objects.update(status="snoozed")

    Case.open(LATE, shopper, "Second.")

    assert Case.objects.get().status == "snoozed"


def test_another_kind_or_subject_is_another_case(shopper: User, staff: User) -> None:
    Case.open(LATE, shopper, "First.")
    Case.open(Case.Kind.OVERPAID, shopper, "Second.")
    Case.open(LATE, staff, "Third.")

    assert Case.objects.count() == 3


def test_what_happens_again_after_it_was_dealt_with_is_a_new_case(shopper: User, staff: User) -> None:
    Case.open(LATE, shopper, "First.")
    Case.objects.get().resolve(by=staff, note="Sent back.")

    Case.open(LATE, shopper, "Second.")

    assert sorted(Case.objects.values_list("status", "what_happened")) == [("open", "Second."), ("resolved", "First.")]


@pytest.mark.django_db(transaction=True)
def test_eight_who_ask_at_once_ask_once(shopper: User) -> None:
    results_of(run_at_once(*[lambda: Case.open(LATE, shopper, "So it is.")] * 8))

    assert Case.objects.count() == 1


def test_a_case_is_resolved_once_by_whom_and_how(shopper: User, staff: User) -> None:
    Case.open(LATE, shopper, "First.")
    case = Case.objects.get()

    assert case.resolve(by=staff, note="Sent back.")
    assert not case.resolve(by=shopper, note="Me too.")

    case.refresh_from_db()
    assert (case.status, case.resolved_by, case.note) == ("resolved", staff, "Sent back.")
    assert case.resolved_at is not None


def test_a_doubt_that_is_gone_resolves_its_own_case_only(shopper: User, staff: User) -> None:
    Case.open(LATE, shopper, "First.")
    Case.open(LATE, staff, "Another's.")
    Case.open(Case.Kind.OVERPAID, shopper, "Another kind.")

    Case.settle(LATE, shopper, "It went away.")

    resolved = Case.objects.get(status="resolved")
    assert (resolved.what_happened, resolved.resolved_by, resolved.note) == ("First.", None, "It went away.")


def test_a_case_that_was_resolved_keeps_its_note(shopper: User, staff: User) -> None:
    Case.open(LATE, shopper, "First.")
    Case.objects.get().resolve(by=staff, note="Sent back.")

    Case.settle(LATE, shopper, "It went away.")

    assert Case.objects.get().note == "Sent back."


def test_cases_are_found_by_what_they_are_about(shopper: User, staff: User) -> None:
    Case.open(LATE, shopper, "First.")
    Case.open(LATE, staff, "Second.")

    assert Case.objects.all().about(shopper).get().what_happened == "First."
    assert Case.objects.all().about(shopper, staff).count() == 2


def test_the_database_refuses_a_second_open_case(shopper: User) -> None:
    Case.open(LATE, shopper, "First.")

    with pytest.raises(IntegrityError, match="case_open_once_per_kind_and_subject"), transaction.atomic():
        Case.objects.create(kind=LATE, subject_type="cartsite.user", subject_uuid=shopper.uuid, what_happened="Second.")

    assert Case.objects.count() == 1
