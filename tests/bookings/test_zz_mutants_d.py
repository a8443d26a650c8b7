import inspect
from datetime import timedelta
import pytest
from django.utils import timezone
from bookings import capacity, waiting
from bookings.views import waiting as pages
from orders import mail
from cart import filling
from tests.bookings import test_waiting as t, test_waiting_mail as m, test_waiting_pages as g, test_waiting_any_history as h
from tests.bookings.test_waiting import offered, person  # noqa
from tests.bookings.test_waiting_mail import line  # noqa
from tests.bookings.test_waiting_pages import full  # noqa
from time_machine import travel
pytestmark = pytest.mark.django_db
@pytest.fixture
def clock():
    with travel(timezone.now(), tick=False) as tr: yield tr
real_offer, real_end, real_move = waiting._offer, waiting._end_what_is_over, waiting.move
MUT = {
 "public past the line": (t.test_while_somebody_waits_the_public_gets_nothing, lambda p: p.setattr(filling, "check_growth", lambda *a: None)),
 "history: public past the line": (h.test_after_every_step_of_any_history_the_line_is_fair, lambda p: p.setattr(filling, "check_growth", lambda *a: None)),
 "lapsed order past the line": (t.test_a_basket_whose_hold_lapsed_is_not_ordered_past_those_who_wait, lambda p: p.setattr(waiting, "refuse_if_queued", lambda *a: None)),
 "last first": (t.test_freed_places_are_offered_in_order_until_none_is_left, lambda p: p.setattr(waiting, "_offer", lambda pool, w: real_offer(pool, w[::-1]))),
 "history: last first": (h.test_after_every_step_of_any_history_the_line_is_fair, lambda p: p.setattr(waiting, "_offer", lambda pool, w: real_offer(pool, w[::-1]))),
 "lapsed stay": (t.test_an_offer_that_nobody_takes_goes_to_the_next_and_both_are_told, lambda p: p.setattr(waiting, "_end_what_is_over", lambda l: [w for w in l if w.status == "waiting"])),
 "decline keeps": (t.test_what_somebody_does_not_want_goes_to_the_next_at_once, None),
 "offer beyond closing": (t.test_an_offer_lasts_as_the_calendar_says_but_never_beyond_the_end_of_booking, lambda p: p.setattr(waiting, "offer_ends", lambda e: timezone.now() + timedelta(hours=24))),
 "offer in last minutes": (t.test_so_shortly_before_booking_closes_nothing_is_offered_and_the_public_may_have_it, lambda p: p.setattr(waiting, "SHORTEST_OFFER", timedelta(0))),
 "taken again": (t.test_taking_it_twice_is_taking_it_once, lambda p: p.setattr(waiting, "mark_taken", lambda w: None)),
 "bounce keeps": (m.test_an_offer_to_an_address_that_does_not_exist_goes_to_the_next_at_once, lambda p: p.setattr(waiting, "leave", lambda w: False)),
 "erase forgets not": (t.test_erasing_a_person_takes_them_off_every_line_and_frees_what_was_offered, lambda p: p.setattr(waiting, "forget", lambda w: [])),
 "join twice": (t.test_the_same_address_stands_in_a_line_once_and_is_told_once_an_hour, None),
 "GET leaves": (g.test_looking_changes_nothing, lambda p: p.setattr(pages, "_show", lambda r, w, e="": (waiting.leave(w), real_show(r, w, e))[1])),
 "no brake": (g.test_so_many_tries_from_one_address_are_enough, lambda p: p.setattr(pages.limits, "is_within", lambda *a: True)),
}
real_show = pages._show
PARAMS = {"closes_in": timedelta(hours=3), "lasts": timedelta(hours=3), "db": None}
@pytest.mark.parametrize("name", [n for n, (f, p) in MUT.items() if p])
def test_mutant(name, request, monkeypatch):
    fn, patch = MUT[name]
    names = [n for n in inspect.signature(fn).parameters if n not in ("steps",)]
    if fn.__module__.endswith("history"):
        request.getfixturevalue("db"); patch(monkeypatch)
        with pytest.raises(BaseException): fn(db=None)
        return
    patch(monkeypatch)
    kw = {n: PARAMS[n] if n in PARAMS else request.getfixturevalue(n) for n in names}
    with pytest.raises(BaseException) as e:
        fn(**kw)
    print(name, type(e.value).__name__)
