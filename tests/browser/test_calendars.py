"""Looking for what is on in a real browser: with JavaScript and without, on a desk and on a phone."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from bookings.models import Entry, PriceKind

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_goes_through_the_weeks_and_back_again(page: Page, workshop: Entry) -> None:
    Entry.objects.filter(pk=workshop.pk).update(
        starts_at=timezone.now() + timedelta(days=7), ends_at=timezone.now() + timedelta(days=7, hours=2)
    )
    page.goto(workshop.calendar.get_absolute_url())

    page.locator("#view-week").click()
    expect(page).to_have_url(re.compile(r"\?view=week$"))
    expect(page.locator("[data-day]")).to_have_count(7)
    expect(page.locator("[data-entry]")).to_have_count(0)
    page.locator("#span-next").press("Enter")
    expect(page.locator("[data-entry]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?view=week&from=\d{4}-\d\d-\d\d$"))
    page.go_back()

    expect(page).to_have_url(re.compile(r"\?view=week$"))
    expect(page.locator("[data-entry]")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_childs_place_is_put_into_the_basket(page: Page, workshop: Entry) -> None:
    PriceKind.objects.create(entry=workshop, name="Child", price="12.50")
    page.goto(workshop.get_absolute_url())

    page.locator("form.add select").select_option(label="Child: £12.50")
    page.locator("form.add button").click()
    expect(page.locator("#cart-badge")).to_contain_text("1")
    page.goto("/cart/")

    expect(page.locator("[data-item]")).to_contain_text("Bread workshop (Child)")
