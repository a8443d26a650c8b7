"""What shoppers may type about an order."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bookings.forms import LONGEST_ADDRESS
from bookings.models import Question
from cartsite.plain_text import PlainCharField
from cartsite.templatetags.shop import dated
from orders.access import read_number
from orders.attendees import Asked, Guest
from orders.handover import DELIVERY, Address
from orders.models import Order, OrderQuerySet
from orders.quoting import Choices, Quote
from orders.worth import Place, Some

LONGEST_ANSWER = 1000


class CheckoutForm(forms.Form):
    """Who orders, and exactly what they looked at: nothing else is asked for."""

    name = PlainCharField(
        label=_("Your name"),
        max_length=200,
        error_messages={"required": _("Please tell us your name.")},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=LONGEST_ADDRESS,
        help_text=_("The confirmation and your tickets go there."),
        error_messages={
            "required": _("Please tell us where the confirmation may go."),
            "invalid": _("This is not an e-mail address, such as name@example.org."),
            "max_length": _("An e-mail address has at most %(limit_value)d characters."),
        },
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    terms = forms.BooleanField(
        label=_("I accept the terms"),
        error_messages={"required": _("Please read the terms and accept them: without that we may not sell.")},
    )
    cart = forms.UUIDField(widget=forms.HiddenInput)
    agreed = forms.CharField(max_length=16, widget=forms.HiddenInput)
    # What was chosen when the page was shown.
    shown_handover = forms.CharField(max_length=36, required=False, widget=forms.HiddenInput)
    shown_postcode = forms.CharField(max_length=10, required=False, widget=forms.HiddenInput)
    shown_voucher = forms.CharField(max_length=40, required=False, widget=forms.HiddenInput)

    @property
    def shown(self) -> Choices:
        """What was chosen when the page was shown, as far as its sums go by it."""
        said = self.cleaned_data
        address = Address(postcode=said["shown_postcode"])
        return Choices(said["shown_handover"], address, said["shown_voucher"])


def as_shown(chosen: Choices) -> dict[str, str]:
    """The hidden fields that say what was chosen when a page is shown."""
    return {
        "shown_handover": chosen.handover,
        "shown_postcode": chosen.address.postcode,
        "shown_voucher": chosen.voucher,
    }


class ChoicesForm(forms.Form):
    """What may be chosen about an order: how it is handed over, and a voucher. Whether that is possible, a quote says.

    Nothing is required here: the page may be asked for its sums before all of it is known.
    """

    voucher = forms.CharField(
        label=_("Voucher code"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    handover = forms.CharField(max_length=36, required=False)
    street = PlainCharField(
        label=_("Street and number"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "address-line1"}),
    )
    town = PlainCharField(
        label=_("Town"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "address-level2"}),
    )
    postcode = PlainCharField(
        label=_("Postcode"),
        max_length=10,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "postal-code"}),
    )
    instructions = PlainCharField(label=_("Anything the driver should know (optional)"), max_length=300, required=False)

    @property
    def choices(self) -> Choices:
        """What was chosen, as far as it could be read; of an address nothing unless things are to be brought."""
        if not self.is_bound:
            return Choices()
        self.full_clean()
        read: dict[str, str] = {name: self.cleaned_data.get(name, "") for name in self.fields}
        voucher, way = read.pop("voucher"), read.pop("handover")
        return Choices(way, Address(**read) if way == DELIVERY else Address(), voucher)

    def tell(self, quote: Quote, *, with_gaps: bool) -> None:
        """Say what is wrong beside its field; what is only not chosen yet too, if asked to."""
        for problem in quote.problems:
            is_ours = problem.about in self.fields and not self.has_error(problem.about)
            if is_ours and (with_gaps or not problem.is_gap):
                self.add_error(problem.about, problem.sentence)


class AttendeesForm(forms.Form):
    """Who comes to the places that something is asked about: these have fields here, and nothing else is read."""

    def __init__(self, asked: Sequence[Asked], typed: Any = None, *, so_far: Mapping[str, str] | None = None) -> None:
        """`typed` is judged; `so_far` is what was typed before it is to be judged, else what is known is shown."""
        super().__init__(typed)
        self.asked = asked
        self.names: dict[str, list[str]] = {}  # of the fields, by the places' keys
        for place in asked:
            fields = _fields_about(place)
            self.names[place.key] = list(fields)
            self.fields |= fields
            self.initial.update(_as_fields(place))
        self.initial.update({name: value for name, value in (so_far or {}).items() if name in self.fields})

    @property
    def places(self) -> list[tuple[Asked, list[forms.BoundField]]]:
        """Each place with its fields."""
        return [(place, [self[name] for name in self.names[place.key]]) for place in self.asked]

    @property
    def amiss(self) -> list[tuple[str, str]]:
        """What is wrong, as a sentence that says of which place, each after the id of its field."""
        return [
            (field.id_for_label, _of_place(place, str(error)))
            for place, fields in self.places
            for field in fields
            for error in field.errors
        ]

    @property
    def guests(self) -> dict[str, Guest]:
        """What was said, by the places' keys."""
        return {place.key: self._guest(place) for place in self.asked}

    def _guest(self, place: Asked) -> Guest:
        said = {question.pk: self.cleaned_data[_about(place, question)] for question in place.questions}
        return Guest(self.cleaned_data.get(_name_of(place), ""), said)


def _of_place(place: Asked, error: str) -> str:
    """An error where its place is not beside it."""
    said = {"number": place.number, "of": place.of, "title": dated(place.title, place.entry), "error": error}
    return _("Place %(number)s of %(of)s: %(title)s. %(error)s") % said


def _name_of(place: Asked) -> str:
    """The field of who takes a place."""
    return f"place-{place.key}-name"


def _about(place: Asked, question: Question) -> str:
    """The field of a question about a place."""
    return f"place-{place.key}-{question.uuid}"


def _as_fields(place: Asked) -> dict[str, str]:
    """What is known of a place, by its fields."""
    answers = {_about(place, question): place.known.answers.get(question.pk, "") for question in place.questions}
    return {_name_of(place): place.known.name} | answers


def _fields_about(place: Asked) -> dict[str, forms.Field]:
    names = {_name_of(place): _name_field(place)} if place.wants_name else {}
    return names | {_about(place, question): _answer_field(question) for question in place.questions}


def _name_field(place: Asked) -> forms.Field:
    # In a section of its own, or a browser would write the same name into all of them.
    attributes = {"autocomplete": f"section-place-{place.key} name"}
    return PlainCharField(
        label=_("Name"),
        max_length=200,
        error_messages={"required": _("Please tell us who comes.")},
        widget=forms.TextInput(attrs=attributes),
    )


def _answer_field(question: Question) -> forms.Field:
    shared: dict[str, Any] = {
        "label": question.text if question.is_required else _("%(question)s (optional)") % {"question": question.text},
        "help_text": question.help_text,
        "required": question.is_required,
    }
    if question.kind == Question.Kind.TEXT:
        errors = {"required": _("Please answer this.")}
        widget = forms.TextInput(attrs={"autocomplete": "off"})
        return PlainCharField(
            **shared, max_length=LONGEST_ANSWER, takes_mailboxes=True, error_messages=errors, widget=widget
        )
    errors = {"required": _("Please choose an answer."), "invalid_choice": _("Please choose one of these.")}
    select = forms.Select(attrs={"autocomplete": "off"})
    return forms.ChoiceField(**shared, choices=_answers_to(question), error_messages=errors, widget=select)


def _answers_to(question: Question) -> list[tuple[str, Any]]:
    """What may be chosen; nothing at first."""
    if question.kind == Question.Kind.YES_NO:
        return [("", _("Please choose")), *Question.YES_OR_NO.items()]
    return [("", _("Please choose")), *((choice, choice) for choice in question.choices)]


class LatePaymentForm(forms.Form):
    """What a shopper wants done with money that came too late."""

    REFUND, WAIT, OTHER = "refund", "wait", "other"

    decision = forms.ChoiceField(
        choices=[
            (REFUND, _("Send my money back")),
            (WAIT, _("Wait for the co-operative")),
            (OTHER, _("Take another date")),
        ]
    )
    # The case that the page was about, so that a repeated click never decides about other money.
    case = forms.UUIDField(required=False)


def _day_field(label: Any) -> forms.DateField:
    """A day that calendars can be reckoned with: the day after the last of all days is an overflow."""
    return forms.DateField(
        label=label,
        required=False,
        validators=[MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(2999, 12, 31))],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class OrderFilterForm(forms.Form):
    """Which of one's orders to list."""

    q = forms.CharField(
        label=_("Number, title or stall"),
        max_length=100,
        required=False,
        error_messages={"max_length": _("Please search for fewer words: at most 100 characters.")},
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    status = forms.ChoiceField(
        label=_("Status"),
        choices=[("", _("All")), *Order.Status.choices],
        required=False,
        error_messages={"invalid_choice": _("Please choose one of these.")},
    )
    since = _day_field(_("From"))
    until = _day_field(_("To"))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("since") and data.get("until") and data["since"] > data["until"]:
            self.add_error("until", _("This day is before the first one."))
        return data

    def narrow(self, orders: OrderQuerySet) -> OrderQuerySet:
        """The orders that fit; a field that could not be read narrows nothing."""
        data = self.cleaned_data
        if data.get("status"):
            orders = orders.filter(status=data["status"])
        if data.get("since"):
            orders = orders.filter(placed_at__gte=_midnight(data["since"]))
        if data.get("until"):
            orders = orders.filter(placed_at__lt=_midnight(data["until"] + timedelta(days=1)))
        return orders


class FindOrderForm(forms.Form):
    """The number of an order whose link got lost; never an e-mail address."""

    number = forms.CharField(
        label=_("Order number"),
        max_length=40,
        help_text=_("It looks like 7KQM-X4WP-2R. Capitals and dashes do not matter."),
        error_messages={"required": _("Please type the number of your order.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )

    def clean_number(self) -> str:
        """The number as it is written on the order."""
        number = read_number(self.cleaned_data["number"])
        if not number:
            raise forms.ValidationError(_("An order number has 10 letters and digits, such as 7KQM-X4WP-2R."))
        return number


# A line's position; for places that are at another entry than was ordered, with that entry's primary key.
Key = int | tuple[int, int]


def name_of(key: Key) -> str:
    """The field for what may be called off of a line."""
    return f"line_{key}" if isinstance(key, int) else f"line_{key[0]}_{key[1]}"


class CancelForm(forms.Form):
    """How many of what in an order are to be called off, of places which ones, or all that may be."""

    whole = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, most: Mapping[Key, int], places: Mapping[Key, Sequence[Place]], typed: Any = None) -> None:
        """`most` is how many of each may be called off, and `places` which, where it is about places."""
        super().__init__(typed)
        self.most = most
        for key, quantity in most.items():
            self.fields[name_of(key)] = _places_field(places[key]) if places[key] else _piece_field(quantity)

    @property
    def wanted(self) -> dict[Key, Some]:
        """How many of each, or which places."""
        if self.cleaned_data.get("whole"):
            return dict(self.most)
        chosen = {key: self.cleaned_data.get(name_of(key)) for key in self.most}
        return {key: some if isinstance(some, int) else frozenset(some) for key, some in chosen.items() if some}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not self.wanted:
            raise forms.ValidationError(_("Please choose at least one thing that you want to cancel."))
        return cleaned


class MoveForm(forms.Form):
    """Which of an order's places are to be moved, and to which entry."""

    to = forms.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        error_messages={
            name: _("Please choose one of the dates.") for name in ("required", "invalid", "min_value", "max_value")
        },
    )

    def __init__(self, places: Mapping[Key, Sequence[Place]], typed: Any = None) -> None:
        """`places` are those that may be moved, all of one key together; at first all are ticked."""
        super().__init__(typed)
        self.keys = {name_of(key): key for key in places}
        self.fields["places"] = forms.ChoiceField(choices=[(name, name) for name in self.keys])
        for name, key in self.keys.items():
            self.fields[name] = _places_field(places[key])
            self.initial[name] = [place.number for place in places[key]]

    @property
    def key(self) -> Key:
        """Which places it is about."""
        return self.keys[self.cleaned_data["places"]]

    @property
    def which(self) -> frozenset[int]:
        """Which of them, by their numbers."""
        return frozenset(self.cleaned_data[self.cleaned_data["places"]])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        name = cleaned.get("places")
        if name and cleaned.get(name) == []:
            self.add_error(name, _("Please choose at least one place."))
        return cleaned


def _places_field(places: Sequence[Place]) -> forms.TypedMultipleChoiceField:
    """Some of these places, by their numbers; the one issued first comes first."""
    listed = sorted(places, key=lambda place: -place.number)
    return forms.TypedMultipleChoiceField(
        choices=[(place.number, _call(place)) for place in listed],
        coerce=int,
        required=False,
        error_messages={"invalid_choice": _("One of these places is not open any more. Please choose again.")},
        widget=forms.CheckboxSelectMultiple,
    )


def _call(place: Place) -> str:
    """What tells a place from others: its code, and whoever comes."""
    attendee = getattr(place.booking, "attendee", None)
    return f"{place.booking.code} ({attendee.name})" if attendee and attendee.name else place.booking.code


def _piece_field(most: int) -> forms.IntegerField:
    wrong = _("Please choose a number from 0 to %(most)s.") % {"most": most}
    return forms.IntegerField(
        min_value=0,
        max_value=most,
        required=False,
        error_messages={"invalid": wrong, "min_value": wrong, "max_value": wrong},
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )


def _midnight(day: date) -> datetime:
    """The beginning of a day in the shop's time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))
