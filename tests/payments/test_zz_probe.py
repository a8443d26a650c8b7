from tests.payments.test_moving import *  # noqa
from tests.payments.test_moving import date, shop, paid, _expire, _cover  # noqa
from payments import calling_off, events
from payments.models import RefundBatch
from django.test.utils import CaptureQueriesContext
from django.db import connection

for name in [n for n in dir() if n.startswith("test_")]:
    del globals()[name]


def test_p1_overpaid_case_stands(order, date, staff, sumup):
    casework.take_cash(order, pounds(40), by=staff)
    payment = pay_for(order, sumup)
    to = date(1, "1.00")
    move(order, to, 2, key=1)
    assert open_cases() == ["overpaid"]
    from payments import sumup as door
    events.take_in(payment, door.get_transaction(payment.movements.get(kind="capture").transaction_id))
    assert open_cases() == ["overpaid"]


def test_p3_locks(paid, workshop, date, sumup, staff):
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    pay_for(dearer, sumup)
    batch = calling_off.begin(to, by=staff, reason="Ill")
    with CaptureQueriesContext(connection) as seen:
        calling_off._put_right(batch, dearer.pk)
    said = [q["sql"] for q in seen]
    orders_ = [n for n, s in enumerate(said) if "FOR NO KEY UPDATE" in s and 'FROM "orders_order"' in s]
    holds = [n for n, s in enumerate(said) if "FOR NO KEY UPDATE" in s and 'bookings_hold"' in s]
    print(orders_, holds)
    before = f'"id" = {paid.order.pk}'
    first = min(n for n in orders_ if before in said[n] or f"IN ({paid.order.pk})" in said[n] or "moving_to" in said[n])
    assert first < min(holds), (first, holds)


def test_p2_revive_locks(paid, workshop, date, sumup, staff):
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    _expire(dearer)
    with CaptureQueriesContext(connection) as seen:
        assert orders.revive(dearer, cause="late payment")
    _cover(dearer)
    said = [q["sql"] for q in seen]
    locks = [n for n, s in enumerate(said) if "FOR NO KEY UPDATE" in s and 'FROM "orders_order"' in s]
    pools = [n for n, s in enumerate(said) if "bookings_pool" in s and "FOR NO KEY UPDATE" in s]
    assert min(locks) < min(pools), (locks, pools)


def test_p4_carried(paid, workshop, date, sumup, staff):
    dearer = move_up(paid.order, date(1, "50.00"))
    pay_for(dearer, sumup)
    refunds.request_from_order(paid.order, Wish(pounds(20), "Sorry", staff))
    batch = calling_off.begin(workshop, by=staff, reason="Ill")
    calling_off.step(batch)
    print(asked(), fresh(paid.order).status)
    assert cancelling.plan_for(fresh(dearer), {0: 1}).back == pounds(50)


def test_p4b_whole(paid, workshop, date, sumup, staff):
    dearer = move_up(paid.order, date(1, "50.00"))
    pay_for(dearer, sumup)
    batch = calling_off.begin(workshop, by=staff, reason="Ill")
    calling_off.step(batch)
    assert fresh(paid.order).status == "completed"


def test_p5_sum(order, date, staff):
    casework.take_cash(order, order.total, by=staff)
    move(order, date(1, "30.00"), key=1)
    cancelling.cancel_order(order, by=staff, reason="x")
    assert Case.objects.get().at_stake == order.total


def test_p12_mail(paid, date, sumup):
    from orders import letters
    pay_for(move_up(paid.order, date(1, "50.00")), sumup)
    cancel(paid.order, {0: 1})
    mail = Message.objects.get(kind="cancelled")
    print(letters.compose(fresh(paid.order), mail).body)
    assert 0


def test_p14_stale(paid, workshop, date, staff):
    to = date(1)
    stale = list(Booking.objects.order_by("-pk")[:1])
    move(paid.order, to)
    with pytest.raises(CannotCancel):
        cancelling.cancel_parts([Part(paid.order.lines.get(), 1, stale)], by=staff, reason="Ill")


def test_p13_person(shop, workshop, date, staff):
    to = date(1, max_per_person=2)
    a = shop((workshop, 2)); b = shop((to, 2))
    print(a.order.contact.email, b.order.contact.email)
    with pytest.raises(CannotMove):
        plan(a.order, to, 2)


def test_p15_kept(paid, workshop, date, sumup):
    OrderLine.objects.filter(order=paid.order).update(kept_percent=50)
    to = date(1, "35.01")
    dearer = move_up(paid.order, to)
    pay_for(dearer, sumup)
    assert cancel(dearer, {0: 1}).kept > 0


def test_p16_called_off_hold(paid, workshop, date, sumup):
    to = date(1, "50.00", pool=workshop.pool)
    dearer = move_up(paid.order, to)
    Entry.objects.filter(pk=to.pk).update(cancelled_at=timezone.now())
    pay(starting.start(dearer), sumup)
    assert taken(workshop) == 2
