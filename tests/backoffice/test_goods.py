"""Staff write down which goods of an order were collected and which nobody fetched, so that the order ends."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from bookings.models import Pool
from orders.models import LineFact, Order, OrderLine
from tests.backoffice.desk import act, ask, logged, page_of, said, text_of
from tests.concurrency import results_of, run_at_once
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db

Hire = Callable[..., Client]


@pytest.fixture
def sold(place_order: Callable[..., Order]) -> Order:
    """Three of five jars, and one loaf, for nothing, so that the books need no money; nobody has fetched them."""
    jam, loaf = ProductFactory(stock=5, title="Jam", price=0), ProductFactory(title="Loaf", price=0)
    return place_order((jam, 3), (loaf, 1))


def goods_page(order: Order) -> str:
    return reverse("admin:orders_order_goods", args=[order.pk])


def typed(client: Client, order: Order, **numbers: int | str) -> dict[str, object]:
    """The page's form, filled in: `jam_collected=2`."""
    agreed = client.get(goods_page(order)).context["agreed"]
    keys = {line.title.lower(): line.pk for line in order.lines.all()}
    named = [(name.partition("_"), number) for name, number in numbers.items() if name != "note"]
    fields = {f"{kind}_{keys[title]}": number for (title, _dash, kind), number in named}
    return {"agreed": agreed, "note": numbers.get("note", ""), **fields}


def facts_of(order: Order) -> list[tuple[str, str, int]]:
    facts = LineFact.objects.filter(line__order=order).order_by("pk")
    return list(facts.values_list("line__title", "kind", "quantity"))


def test_some_jars_are_collected_and_one_is_never_fetched(staff_client: Client, sold: Order) -> None:
    form = typed(staff_client, sold, jam_collected=2, jam_missed=1, note="After three weeks.")

    answer = staff_client.post(goods_page(sold), form)

    assert answer["Location"] == page_of(sold)
    assert facts_of(sold) == [("Jam", "collected", 2), ("Jam", "missed", 1)]
    assert logged(sold) == ["Jam: 2 collected. Jam: 1 not fetched. After three weeks."]
    pool = Pool.objects.get(product__title="Jam")
    assert (pool.taken, pool.wanted) == (0, 3)


def test_an_order_whose_goods_are_all_accounted_for_ends_and_can_be_erased(staff_client: Client, sold: Order) -> None:
    refused = ask(staff_client, sold, "erase_contact")
    staff_client.post(goods_page(sold), typed(staff_client, sold, jam_missed=3))

    answer = staff_client.post(goods_page(sold), typed(staff_client, sold, loaf_collected=1))
    sold.refresh_from_db()
    act(staff_client, sold, "erase_contact", note="They ask for it.")

    assert "not handed over yet" in text_of(refused)
    assert sold.status == Order.Status.COMPLETED
    assert said(answer)[-1] == "Loaf: 1 collected. The order is completed."
    assert not hasattr(Order.objects.get(), "contact")


def test_the_order_leads_there_while_goods_are_left(staff_client: Client, sold: Order) -> None:
    before = staff_client.get(page_of(sold)).content.decode()
    act(staff_client, sold, "mark_collected")

    after = staff_client.get(page_of(sold)).content.decode()

    assert (goods_page(sold) in before, goods_page(sold) in after) == (True, False)
    assert "No goods of this order wait to be collected." in text_of(staff_client.get(goods_page(sold)))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"jam_collected": 2, "jam_missed": 2}, "Together these are more than the 3 that are left."),
        ({"jam_collected": 4}, "less than or equal to 3"),
        ({"jam_missed": -1}, "greater than or equal to 0"),
        ({"jam_missed": "x"}, "Enter a whole number."),
        ({}, "Please say of at least one line"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_words(
    staff_client: Client, sold: Order, numbers: dict[str, int | str], words: str
) -> None:
    answer = staff_client.post(goods_page(sold), typed(staff_client, sold, **numbers))

    assert answer.status_code == 200
    assert words in text_of(answer)
    assert facts_of(sold) == []


def test_a_form_that_is_posted_twice_is_written_down_once(staff_client: Client, sold: Order) -> None:
    form = typed(staff_client, sold, jam_collected=1)

    answers = [staff_client.post(goods_page(sold), form) for _press in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert facts_of(sold) == [("Jam", "collected", 1)]


def test_who_looks_at_an_older_page_looks_again(staff_client: Client, sold: Order) -> None:
    stale = typed(staff_client, sold, jam_collected=1)
    staff_client.post(goods_page(sold), typed(staff_client, sold, jam_collected=1))

    answer = staff_client.post(goods_page(sold), stale)

    assert "Something has changed since you looked." in text_of(answer)
    assert facts_of(sold) == [("Jam", "collected", 1)]


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_looks_again(staff_client: Client, sold: Order) -> None:
    forms = [typed(staff_client, sold, jam_collected=3) for _desk in range(2)]

    answers = results_of(run_at_once(*(lambda f=form: staff_client.post(goods_page(sold), f) for form in forms)))

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert facts_of(sold) == [("Jam", "collected", 3)]


def test_who_may_not_change_orders_is_refused(hire: Hire, sold: Order) -> None:
    client = hire("orders.view_order")

    answers = [client.get(goods_page(sold)), client.post(goods_page(sold), {})]

    assert [answer.status_code for answer in answers] == [403, 403]


def test_an_order_that_is_not_paid_has_nothing_to_hand_over(
    staff_client: Client, place_order: Callable[..., Order]
) -> None:
    order = place_order((ProductFactory(), 1))

    assert "No goods" in text_of(staff_client.get(goods_page(order)))
    assert staff_client.get(goods_page(order).replace(str(order.pk), "999999")).status_code == 404
    assert not OrderLine.objects.filter(facts__isnull=False).exists()
