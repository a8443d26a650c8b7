"""Taking an offer, passing it on and leaving the list: once, however often and in however many tabs it is pressed."""

import pytest
from django.test import Client

from bookings import waiting
from bookings.models import Entry, Waiter
from cart.models import CartItem
from tests.bookings.lines import free, fresh, join, order_of, sold_out, statuses
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import all_rows, tabs_of

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = ["take", "decline", "leave"]


@pytest.fixture
def entry(db: None) -> Entry:
    """One place came free: it is offered to Ada. Bob and Cleo wait behind her."""
    entry, holds = sold_out(title="Bread workshop")
    for name in ("ada", "bob", "cleo"):
        join(entry, name)
    free(holds[0])
    waiting.sweep()
    return entry


@pytest.fixture
def ada(entry: Entry) -> Waiter:
    return Waiter.objects.get(email="ada@example.org")


@pytest.fixture
def browser(ada: Waiter) -> Client:
    """The browser that came with Ada's link."""
    client = Client()
    client.get(ada.secret_link)
    return client


@pytest.mark.parametrize("step", STEPS)
def test_the_same_form_posted_again_changes_nothing(browser: Client, ada: Waiter, step: str) -> None:
    first = browser.post(ada.get_absolute_url(), {"step": step})
    browser.get(first["Location"])
    done = {table: len(rows) for table, rows in all_rows().items()}
    ended = statuses(*Waiter.objects.order_by("pk"))

    again = browser.post(ada.get_absolute_url(), {"step": step})

    assert (first.status_code, again.status_code, again["Location"]) == (302, 302, first["Location"])
    assert {table: len(rows) for table, rows in all_rows().items()} == done
    assert statuses(*Waiter.objects.order_by("pk")) == ended


@pytest.mark.parametrize("step", STEPS)
def test_two_tabs_at_once_do_it_once(browser: Client, entry: Entry, ada: Waiter, step: str) -> None:
    tabs = tabs_of(browser, 3)

    answers = results_of(
        run_at_once(*[lambda tab=tab: tab.post(ada.get_absolute_url(), {"step": step}).status_code for tab in tabs])
    )

    assert 302 in answers
    assert set(answers) <= {302, 422}
    assert CartItem.objects.count() == (1 if step == "take" else 0)
    others = statuses(*Waiter.objects.exclude(pk=ada.pk).order_by("pk"))
    assert others == (["waiting", "waiting"] if step == "take" else ["offered", "waiting"])
    assert fresh(ada).status == {"take": "taken", "decline": "passed", "leave": "left"}[step]
    assert "ada" not in order_of(entry)
