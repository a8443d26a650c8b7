"""Preview, then confirm once: one form does its step at most once, and only what it showed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.test import RequestFactory
from time_machine import travel

from cartsite import agreements, tasks
from cartsite.agreements import Conflict, Repeated
from cartsite.models import Agreement, User
from cartsite.reauthentication import SignInTooOld
from tests.concurrency import results_of, run_at_once
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

SEEN = agreements.fingerprint_of("seen")


def asked(person: User | None = None, token: str = "", browser: str = "b" * 32) -> HttpRequest:
    """A page that this person opens, or posts with a token."""
    request = RequestFactory().post("/", {"agreed": token})
    request.user = person or AnonymousUser()
    request.session = SessionBase()
    request.META["CSRF_COOKIE"] = browser
    return request


def offered(person: User, subject: User, **more: Any) -> str:
    return agreements.offer(asked(person), "a step", subject, SEEN, **more)


def do(request: HttpRequest, subject: User, fingerprint: str = SEEN, step: str = "a step") -> str:
    """Take a step that leaves one letter in the subject's name."""
    with agreements.once(request, step, subject) as promise:
        promise.check(fingerprint)
        person = User.objects.select_for_update().get(pk=subject.pk)
        person.name += "x"
        person.save()
        return promise.conclude("Done.", "/there/").words


@pytest.fixture
def subject(db: None) -> User:
    return UserFactory(username="bob", email="bob@example.org", name="")


def times_done(subject: User) -> int:
    subject.refresh_from_db()
    return len(subject.name)


def test_showing_an_offer_writes_nothing(staff: User, subject: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        offered(staff, subject)


def test_a_form_posted_twice_does_its_step_once_and_shows_the_first_outcome(staff: User, subject: User) -> None:
    token = offered(staff, subject)
    do(asked(staff, token), subject)

    with pytest.raises(Repeated) as repeat:
        do(asked(staff, token), subject)

    assert (repeat.value.outcome.words, repeat.value.outcome.path) == ("Done.", "/there/")
    assert times_done(subject) == 1


def test_two_pages_that_showed_the_same_are_two_steps(staff: User, subject: User) -> None:
    for token in [offered(staff, subject), offered(staff, subject)]:
        do(asked(staff, token), subject)

    assert times_done(subject) == 2


def test_of_one_form_posted_eight_times_at_once_seven_wait_and_show_the_first_outcome(
    staff: User, subject: User
) -> None:
    token = offered(staff, subject)

    def post() -> str:
        try:
            return do(asked(staff, token), subject)
        except Repeated as repeat:
            return f"repeated {repeat.outcome.words}"

    said = results_of(run_at_once(*[post] * 8))

    assert sorted(said) == ["Done.", *["repeated Done."] * 7]
    assert times_done(subject) == 1


def test_a_refusal_leaves_the_form_unspent(staff: User, subject: User) -> None:
    token = offered(staff, subject)
    with (
        pytest.raises(ZeroDivisionError),
        agreements.once(asked(staff, token), "a step", subject),
    ):
        raise ZeroDivisionError

    do(asked(staff, token), subject)

    assert times_done(subject) == 1


def test_where_the_first_of_two_at_once_is_refused_the_second_does_it(staff: User, subject: User) -> None:
    token = offered(staff, subject)
    refusals = iter([True, False])

    def post() -> str:
        with agreements.once(asked(staff, token), "a step", subject) as promise:
            if next(refusals):
                raise ZeroDivisionError
            return promise.conclude("Done.", "/there/").words

    outcomes = run_at_once(post, post)

    assert sorted(str(outcome.result) for outcome in outcomes) == ["Done.", "None"]
    assert Agreement.objects.count() == 1


def test_other_facts_than_were_shown_are_a_conflict_that_leaves_nothing(staff: User, subject: User) -> None:
    token = offered(staff, subject, since=7)

    with pytest.raises(Conflict) as conflict:
        do(asked(staff, token), subject, agreements.fingerprint_of("other"))

    assert conflict.value.since == 7
    assert (times_done(subject), Agreement.objects.count()) == (0, 0)


MOVED: dict[str, Callable[[User, User, str], Any]] = {
    "to another person": lambda staff, subject, token: do(asked(subject, token), subject),
    "to nobody": lambda staff, subject, token: do(asked(None, token), subject),
    "to another row": lambda staff, subject, token: do(asked(staff, token), staff),
    "to another step": lambda staff, subject, token: do(asked(staff, token), subject, step="another step"),
    "with a change": lambda staff, subject, token: do(asked(staff, "x" + token), subject),
    "as nothing": lambda staff, subject, token: do(asked(staff, ""), subject),
}


@pytest.mark.parametrize("how", MOVED)
def test_a_token_cannot_be_moved(how: str, staff: User, subject: User) -> None:
    token = offered(staff, subject)

    with pytest.raises(Conflict):
        MOVED[how](staff, subject, token)

    assert (times_done(subject), Agreement.objects.count()) == (0, 0)


def test_who_is_not_signed_in_is_known_by_their_browser(subject: User) -> None:
    token = agreements.offer(asked(), "a step", subject, SEEN)

    with pytest.raises(Conflict):
        do(asked(token=token, browser="c" * 32), subject)
    do(asked(token=token), subject)

    assert times_done(subject) == 1


def test_a_page_that_was_open_for_too_long_must_be_looked_at_again(staff: User, subject: User) -> None:
    with travel("2026-12-01T08:00Z", tick=False):
        token = offered(staff, subject)

    with travel("2026-12-01T20:01Z", tick=False), pytest.raises(Conflict, match="long ago"):
        do(asked(staff, token), subject)

    assert times_done(subject) == 0


def test_what_came_of_a_step_is_kept_for_longer_than_its_form_can_be_posted(staff: User, subject: User) -> None:
    with travel("2026-12-01T08:00Z", tick=False):
        do(asked(staff, offered(staff, subject)), subject)

    with travel("2026-12-02T08:00Z", tick=False):
        tasks.forget_agreements()
    kept_for_a_day = Agreement.objects.count()
    with travel("2026-12-03T08:01Z", tick=False):
        tasks.forget_agreements()

    assert (kept_for_a_day, Agreement.objects.count()) == (1, 0)


def test_a_step_must_say_what_came_of_it(staff: User, subject: User) -> None:
    with (
        pytest.raises(ValueError, match="Nobody said what came"),
        agreements.once(asked(staff, offered(staff, subject)), "a step", subject),
    ):
        pass

    assert not Agreement.objects.exists()


def test_staff_who_signed_in_long_ago_do_no_step_and_their_form_stays_good(
    staff: User, subject: User, settings: Any
) -> None:
    token = offered(staff, subject)
    settings.RECENT_SIGN_IN = 15 * 60

    with pytest.raises(SignInTooOld) as asks:
        do(asked(staff, token), subject)
    settings.RECENT_SIGN_IN = 10**10
    do(asked(staff, token), subject)

    assert asks.value.without == agreements.FIELD
    assert Agreement.objects.count() == 1


def test_somebody_who_only_shops_is_not_asked_who_they_are(subject: User, settings: Any) -> None:
    settings.RECENT_SIGN_IN = 15 * 60

    assert do(asked(subject, offered(subject, subject)), subject) == "Done."
