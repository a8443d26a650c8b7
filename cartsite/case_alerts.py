"""Telling people of the cases that were opened, in one digest a minute at most."""

from datetime import timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from cartsite import alerts
from cartsite.models import Case

# Many a case resolves itself within moments; people are told of those that stay.
BEFORE_TELLING = timedelta(minutes=1)


def tell_of_cases() -> None:
    """Send one digest of the open cases that nobody was told of yet. They count as told once it went out."""
    if not alerts.is_anybody_told():
        return
    opened = Case.objects.filter(
        status=Case.Status.OPEN, told_at=None, opened_at__lte=timezone.now() - BEFORE_TELLING
    ).order_by("pk")
    cases = list(opened)
    if not cases:
        return
    title = ngettext("%(count)d case to look at", "%(count)d cases to look at", len(cases)) % {"count": len(cases)}
    if alerts.tell(title, [_describe(case) for case in cases]):
        Case.objects.filter(pk__in=[case.pk for case in cases]).update(told_at=timezone.now())


def _describe(case: Case) -> str:
    """The kind of a case, what it is about, and where to look at it."""
    link = settings.PUBLIC_URL + reverse("admin:cartsite_case_change", args=[case.pk])
    stake = "" if case.at_stake is None else f", {case.at_stake} {settings.CURRENCY}"
    return f"{case.get_kind_display()} ({case.subject_type} {case.subject_uuid}{stake}): {link}"
