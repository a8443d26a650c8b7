"""Kill -9 at the lines that matter most: before and after each commit, each call of SumUp, and each mail.

What comes after is always the same: time passes, the timers run, people do what they would do, and then the books
agree with SumUp's, no seat and no mail is lost or doubled, and every day closes. (tests/prove dies at every line.)
"""

import pytest

from cartsite.models import Message
from payments.models import Refund
from tests.crash.booking import (
    BOOKING,
    CallEntryOffAndMove,
    CheckIn,
    ConfirmMove,
    Move,
    MoveToDearer,
    OfferFreed,
    Reschedule,
    TakeOffer,
    UndoCheckIn,
)
from tests.crash.killing import END, Failpoint, die_at, list_failpoints
from tests.crash.plays import (
    PLAYS,
    ApproveBatch,
    CallEntryOff,
    Close,
    Expire,
    FinishRelease,
    FinishReleaseOfPartPaid,
    PaidWhileCancelled,
    Play,
    Release,
    ReleaseOfPaid,
    SendMail,
    SendRefund,
    SendRefundThatIsRefused,
    Settle,
    SettleLate,
    Start,
    StartWithFault,
    StartWithLostAnswer,
    perform,
)
from tests.crash.shopping import SHOPPING, CallAllOff, CallOff, Place, PlaceForNothing, SignIn, Undo
from tests.crash.world import World

pytestmark = pytest.mark.django_db(transaction=True)

# What the process was doing, what had just happened, and before which line it dies.
DEATHS: list[tuple[type[Play], str, Failpoint]] = [
    (Start, "the attempt is not committed", Failpoint("starting._find_or_reserve", "return _reserve(order), True")),
    (Start, "the attempt is committed, not sent", Failpoint("sending._post", "return sumup.create_checkout(")),
    (Start, "SumUp has made it, we know nothing", Failpoint("sending.store", "if _keep(payment, checkout):")),
    (Start, "its page is written, not committed", Failpoint("sending._keep", "return True")),
    (Start, "its page is committed", Failpoint("sending.send_leased", "schedule.put_back(")),
    (StartWithFault, "it is in doubt", Failpoint("sending.resolve", "hits = sumup.find_checkouts(")),
    (StartWithFault, "SumUp has nothing", Failpoint("sending._post_again", "store(payment, _post(payment))")),
    (StartWithLostAnswer, "SumUp has it after all", Failpoint("sending.resolve", "if len(hits) > 1:")),
    (Settle, "SumUp has told, nothing is written", Failpoint("settling.settle", "with transaction.atomic():")),
    (Settle, "the money is written, not committed", Failpoint("settling._record_captures", "decide(")),
    (Settle, "the order is confirmed, not committed", Failpoint("settling._after_confirming", "refunds.prepare_for")),
    (Settle, "all is committed", Failpoint("settling.settle", "return checkout")),
    (SettleLate, "room is claimed again, not committed", Failpoint("services._make_good", "owe_mail(")),
    (Release, "it is begun", Failpoint("releasing.step", "if not Order.objects.filter(")),
    (Release, "the page is dead, we know nothing", Failpoint("releasing.close_attempt", "settling.settle(payment)  #")),
    (FinishRelease, "the attempt is over", Failpoint("giving_back.end_unpaid", "return orders.let_go(")),
    (FinishRelease, "the lines are moved, not committed", Failpoint("services.let_go", "return True")),
    (Expire, "the order is leased", Failpoint("releasing._close_in_time", "try:")),
    (ReleaseOfPaid, "it turned out to be paid", Failpoint("releasing.step", "return _finish(order)")),
    (FinishReleaseOfPartPaid, "the money is asked for", Failpoint("giving_back.end_unpaid", "refunds.approve(")),
    (PaidWhileCancelled, "the case is open, not committed", Failpoint("settling._end_as_cancelled", "if not order.")),
    (
        PaidWhileCancelled,
        "the money is asked for, not committed",
        Failpoint("giving_back.end_unpaid", "return orders."),
    ),
    (SendRefund, "the refund is leased", Failpoint("refunds.send", "before = read(refund)")),
    (SendRefund, "it is committed, not sent", Failpoint("refunds.send", "answer, refused = sumup.refund(")),
    (SendRefund, "SumUp has done it, we know nothing", Failpoint("refunds.send", "_conclude(")),
    (SendRefund, "its event is written, not committed", Failpoint("events._take_refund", "orders.owe_mail(")),
    (SendRefund, "it is done", Failpoint("refunds._put_back", "order, refund = _lock(refund)")),
    (SendRefundThatIsRefused, "SumUp said no", Failpoint("refunds._conclude", "with transaction.atomic():")),
    (SendMail, "the mail is leased", Failpoint("mail._send", "_deliver(")),
    (SendMail, "the mail server said yes", Failpoint("mail._send", "with transaction.atomic():")),
    (SendMail, "it is marked, not committed", Failpoint("mail._note_on_order", "if is_news:")),
    (Place, "it is held, nothing is written", Failpoint("placing.place", "order = _write_order(")),
    (Place, "all is written, not committed", Failpoint("placing.place", "return order, True")),
    (PlaceForNothing, "it is confirmed, not committed", Failpoint("placing.place", "return order, True")),
    (CallOff, "it is called off, no money is asked for", Failpoint("giving_back.send_back", "asked: list")),
    (CallOff, "the money is asked for, not approved", Failpoint("refunds.approve", "now = timezone.now()")),
    (CallAllOff, "some of it is approved", Failpoint("giving_back.send_back_approved", "refunds.approve(", 2)),
    (CallEntryOff, "it is begun, not committed", Failpoint("calling_off.begin", "return RefundBatch.objects.create(")),
    (CallEntryOff, "it is begun", Failpoint("calling_off.step", "failed = False")),
    (CallEntryOff, "places are called off, no money is asked for", Failpoint("calling_off._ask_back", "wishes =")),
    (CallEntryOff, "the money is asked for, not committed", Failpoint("calling_off._record", "data =")),
    (CallEntryOff, "all orders are put right", Failpoint("calling_off._finish", "RefundBatch.objects.filter(")),
    (ApproveBatch, "refunds are approved, not committed", Failpoint("calling_off.approve", "OrderEvent.objects")),
    (ApproveBatch, "all is approved", Failpoint("calling_off.approve", "return len(")),
    (Move, "the old place is over, the new one is not there", Failpoint("moving._hold_there", "capacity.give_back(")),
    (Move, "it is moved, no money is asked for", Failpoint("moving._go", "if move.to.pool_id")),
    (Move, "all is written, not committed", Failpoint("moving.move_for_shopper", "return plan, None")),
    (MoveToDearer, "the new order is written, not committed", Failpoint("moving._buy", "return order")),
    (ConfirmMove, "the old place is over, not committed", Failpoint("replacing.take_over", "capacity.give_back(")),
    (ConfirmMove, "the new place is issued, not committed", Failpoint("services._make_good", "for before in left")),
    (CallEntryOffAndMove, "all are moved, not committed", Failpoint("calling_off._move", "return True")),
    (Reschedule, "its time is changed, nobody is told", Failpoint("rescheduling.reschedule", "_tell(")),
    (Reschedule, "all is written, not committed", Failpoint("rescheduling.reschedule", "return len(")),
    (
        CheckIn,
        "the scan is written, without its answer",
        Failpoint("door._answer_once", "if scan.booking is not None"),
    ),
    (CheckIn, "they are let in, not committed", Failpoint("door._answer_once", "return scan")),
    (UndoCheckIn, "the scan is taken back, its place is not", Failpoint("door.undo", "return _take_back(")),
    (OfferFreed, "it is held, and offered to nobody", Failpoint("waiting._make_offer", "waiter.status,")),
    (OfferFreed, "it is offered, not committed", Failpoint("waiting.offer_freed", END)),
    (TakeOffer, "it is neither an offer nor in the basket", Failpoint("offers.take_offer", "capacity.hand_to_cart(")),
    (TakeOffer, "it is in the basket, not committed", Failpoint("offers.take_offer", "return basket")),
    (SignIn, "lines are gone here, and not there yet", Failpoint("merging._take_over", "other.merged_into")),
    (SignIn, "the cookie is burnt, not committed", Failpoint("merging._renew_token", "return token")),
    (Undo, "the lines are in neither cart", Failpoint("undoing._part", "_share_out(")),
    (Close, "nothing is committed", Failpoint("closing._take", "close.save()")),
    (Close, "a page is read, not committed", Failpoint("closing._keep", "close.save()", 2)),
    (Close, "the pages are read", Failpoint("payouts.write", "for record in")),
    (Close, "some rows are judged", Failpoint("closing._judge", "capture =", 2)),
    (Close, "it is finished, not committed", Failpoint("closing._finish", "close.save()")),
]


@pytest.mark.parametrize(
    ("kind", "failpoint"),
    [(kind, failpoint) for kind, _what, failpoint in DEATHS],
    ids=[f"{kind.__name__}: {what}" for kind, what, _failpoint in DEATHS],
)
def test_whoever_dies_the_next_ones_put_it_right(world: World, kind: type[Play], failpoint: Failpoint) -> None:
    perform(kind(world), failpoint)


@pytest.mark.parametrize("kind", [*PLAYS, *SHOPPING, *BOOKING], ids=lambda kind: kind.__name__)
def test_where_nobody_dies_every_play_ends_well_too(world: World, kind: type[Play]) -> None:
    perform(kind(world), None)


def test_mail_doubles_only_between_the_servers_yes_and_our_mark(world: World) -> None:
    play = SendMail(world)

    perform(play, Failpoint("mail._send", "with transaction.atomic():"))

    doubled = [name for name, times in world.delivered().items() if times == 2]
    assert doubled == [Message.objects.earliest("pk").uuid]


def test_a_refund_whose_sender_died_is_sent_again_only_by_a_person(world: World) -> None:
    play = SendRefund(world)
    world.begin()
    play.prepare()

    die_at(Failpoint("refunds.send", "answer, refused = sumup.refund("), play.act, play.modules)
    world.sweep_for_hours()

    assert Refund.objects.get().status == "unknown"
    assert not [seen for seen in world.sumup.requests if seen.path.endswith("/refunds")]


def test_the_list_of_lines_looks_after_itself(world: World) -> None:
    play = SendMail(world)
    world.begin()
    play.prepare()

    lines = [str(failpoint) for failpoint in list_failpoints(play.act, play.modules)]

    assert "mail._note_on_order: if is_news:" in lines
    assert "mail._note_on_order: if is_news: (time 2)" in lines
    assert lines[-1] == "mail.send_owed: (end)"
