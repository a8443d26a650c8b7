"""What strangers type is one line without links; names of people are no links, however they are written."""

from collections.abc import Iterator

import pytest
from django import forms
from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

import bookings.forms
import bookings.views.door
import cart.forms
import cartsite.signin
import orders.forms
import orders.views.privacy
from cartsite.plain_text import (
    PlainCharField,
    check_note,
    for_mail,
    has_controls,
    has_link,
    tidy_line,
    without_controls,
)

NAMES = {
    "Ada Lovelace": "Ada Lovelace",
    "J. R. R. Tolkien": "J. R. R. Tolkien",
    "J.R.R.Tolkien": "J.R.R. Tolkien",
    "A.N.Other": "A.N. Other",
    "St. John": "St. John",
    "St.John": "St. John",
    "Dr.Smith": "Dr. Smith",
    "dr.smith": "dr. smith",
    "Prof.Dr.Müller": "Prof. Dr. Müller",
    "J.de Vries": "J. de Vries",
    "M.al-Sayed": "M. al-Sayed",
    "J.Smith/A.Jones": "J. Smith/A. Jones",
    "Jean-Luc O'Brien": "Jean-Luc O'Brien",
    "Smith & Sons Ltd.": "Smith & Sons Ltd.",
    "Ada (née Byron)": "Ada (née Byron)",
    "张伟": "张伟",
    "عدة": "عدة",
    "Mt.Pleasant": "Mt. Pleasant",
    "Flat 2.1/3, c/o Mill": "Flat 2.1/3, c/o Mill",
    "Ring twice.Thanks": "Ring twice. Thanks",
    "after 5 p.m. or at 10.30pm": "after 5 p.m. or at 10.30pm",
    "Ada    Lovelace": "Ada Lovelace",
}
LINKS = [
    "http://evil.example",
    "hxxp://x",
    "www.evil",
    "evil.example/pay",
    "Evil.Example/pay",
    "evil.com",
    "Evil.Com",
    "EVIL.COM",
    "Ada, see evil.top.",
    "(evil.com)",
    "evil.co.uk",
    "evil.com:8080",
    "t.me/evil",
    "dr.evil/pay",
    "192.0.2.7/pay",
    "ada@evil.com",
    "mailto:ada",
    "xn--e1aybc.xn--p1ai",
    "пример.рф",
    "\uff57\uff57\uff57.evil\uff0ecom",
    "evil。com",
    "Evil\uff0eTop",
    "ev\u00adil.c\u200bom",
]
BROKEN = [
    "Ada\r\nPay again",
    "Ada\nPay",
    "Ada\rPay",
    "Ada\tPay",
    "Ada\x0bPay",
    "Ada\x85Pay",
    "Ada\u2028Pay",
]
ANY_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("./:@w aA\n\r"), max_size=80)

# What is typed into these is looked up or compared, and never kept as it is.
LOOKED_UP = {
    "agreed",
    "case",
    "code",
    "email",
    "handover",
    "number",
    "product",
    "q",
    "shown_handover",
    "shown_postcode",
    "shown_voucher",
    "username",
    "voucher",
}
OF_SHOPPERS = [bookings.forms, bookings.views.door, cart.forms, cartsite.signin, orders.forms, orders.views.privacy]


@pytest.mark.parametrize(("typed", "kept"), NAMES.items())
def test_names_are_taken_however_they_are_written(typed: str, kept: str) -> None:
    assert PlainCharField().clean(typed) == kept
    assert for_mail(typed) == kept


@pytest.mark.parametrize("typed", LINKS)
def test_what_a_mail_program_may_turn_into_a_link_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError, match="leave out web and e-mail addresses"):
        PlainCharField().clean(typed)
    assert for_mail(typed) == ""


@pytest.mark.parametrize("typed", BROKEN)
def test_more_than_a_line_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError, match="in one line"):
        PlainCharField().clean(typed)
    assert for_mail(typed) == ""


@pytest.mark.parametrize("typed", ["Ada\x00", "\x1b[2JAda", "A\x08da", "A\x9bda", "A\nd\x07a"])
def test_what_cannot_be_shown_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError, match="cannot be shown"):
        PlainCharField().clean(typed)
    assert for_mail(typed) == ""


def test_a_mailbox_is_taken_only_where_no_mail_says_it() -> None:
    field = PlainCharField(takes_mailboxes=True)

    assert field.clean("ada@example.org") == "ada@example.org"
    for typed in ("see evil.com", "ada@example.org or evil.com/pay", "http://ada@evil.com"):
        with pytest.raises(ValidationError):
            field.clean(typed)


def test_notes_of_staff_may_have_lines_but_nothing_else_that_moves_the_cursor() -> None:
    check_note("It rains.\r\n\tSo we stay inside.")

    with pytest.raises(ValidationError, match="cannot be shown"):
        check_note("It rains.\x1b[2J")


@given(ANY_TEXT)
@example("a..b.cd")
@example("x.co.uk")
def test_whatever_is_typed_what_is_taken_is_a_line_without_a_link(typed: str) -> None:
    try:
        kept = PlainCharField(required=False).clean(typed)
    except ValidationError:
        assert for_mail(typed.strip()) == ""
        return

    assert not has_controls(kept)
    assert not has_link(kept)
    assert tidy_line(kept) == kept
    assert for_mail(kept) == kept
    assert len(kept.splitlines()) <= 1


@given(ANY_TEXT)
def test_a_text_without_control_characters_stays_as_it_is(typed: str) -> None:
    kept = without_controls(typed)

    assert kept.split("\n") == kept.splitlines() + [""] * (kept.endswith("\n") or not kept)
    assert without_controls(kept) == kept


def test_a_text_that_is_far_too_long_is_not_read_letter_by_letter() -> None:
    field = PlainCharField(max_length=200)

    with pytest.raises(ValidationError, match="at most 200 characters"):
        field.clean("a.b@" * 500_000)


def fields_of_shoppers() -> Iterator[tuple[str, forms.Field]]:
    for module in OF_SHOPPERS:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, forms.BaseForm) and kind.__module__ == module.__name__:
                yield from getattr(kind, "base_fields", {}).items()


def is_free_text(field: forms.Field) -> bool:
    """A field that takes any text; the derived ones of Django take an address, a UUID and so on."""
    return type(field) in {forms.CharField, PlainCharField} and not isinstance(field.widget, forms.PasswordInput)


def test_every_text_that_is_kept_is_asked_for_in_such_a_field() -> None:
    asked = {name: field for name, field in fields_of_shoppers() if is_free_text(field)}

    assert {"name", "street", "town", "postcode", "instructions"} <= asked.keys()
    assert {name for name, field in asked.items() if not isinstance(field, PlainCharField)} <= LOOKED_UP
