"""However many orders there are, staff find one by its number or its e-mail address from an index."""

import pytest
from django.test import Client

from orders.models import Order, OrderContact
from tests.support.foreign_rows import copy_everything
from tests.support.rows_visited import Visits, explained

pytestmark = pytest.mark.django_db

BIG = {"orders_order", "orders_ordercontact", "orders_orderline"}


def read_whole(visits: Visits) -> list[str]:
    """How a big table was read from end to end, statement by statement."""
    return [how for _rows, how, _sql in visits.seen if "Seq Scan" in how and how.split()[0] in BIG]


@pytest.mark.parametrize("said", ["7kqmx4wp2r", "Ada.Only@example.org"])
def test_a_number_and_an_address_are_looked_up_by_index(staff_client: Client, order: Order, said: str) -> None:
    copy_everything(3000)
    Order.objects.filter(pk=order.pk).update(number="7KQM-X4WP-2R")
    OrderContact.objects.filter(order=order).update(email="ada.only@example.org")
    staff_client.get("/admin/orders/order/", {"q": said})

    with explained() as visits:
        found = staff_client.get("/admin/orders/order/", {"q": said}).context["cl"].result_list

    assert list(found) == [order]
    assert read_whole(visits) == []
    assert visits.over(100) == []
