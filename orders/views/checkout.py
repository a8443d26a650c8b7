"""Checkout: how it is handed over, who orders, a last look at exactly what will be charged, and the way to SumUp."""

from collections.abc import Callable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.forms import BoundField
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from cart import services
from cart.models import Cart, CartItem
from cart.services import Basket, Unavailable, token_after_order
from cart.shortages import find_shortages
from cart.visitors import (
    TooManyPlaces,
    basket_for,
    check_places,
    find_cart_for,
    set_cart_cookie,
    token_of,
    user_of,
)
from cartsite import limits
from cartsite.http import is_htmx, read_key, wants_fragment
from cartsite.sorry import too_many
from orders import access, attendees
from orders.attendees import Asked, Guest, Reader
from orders.forms import AttendeesForm, CheckoutForm, ChoicesForm, as_shown
from orders.placing import CannotPlace, Dearer, place
from orders.quoting import make_quote
from orders.unpaid import find_unpaid
from orders.views.paying import go_and_pay


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """The review of what will be charged. A POST takes one of STEPS and shows it again, or places the order."""
    if request.method != "POST":
        return _review(request, ChoicesForm(), None)
    if request.POST.get("voucher") and not limits.is_within(request, "voucher"):
        return too_many(request)
    for name, step in STEPS.items():
        if name in request.POST:
            return step(request)
    return _place(request)


def _show_sums(request: HttpRequest) -> HttpResponse:
    """Show the page again with what was chosen and typed."""
    return _review(request, ChoicesForm(request.POST), None)


def _keep_longer(request: HttpRequest) -> HttpResponse:
    """Hold what is in the basket longer, and show the page again with what was typed; each line says if it is held."""
    return _change_basket(request, services.renew)


def _accept_prices(request: HttpRequest) -> HttpResponse:
    """Agree to the prices that the page showed, and show it again with what was typed."""
    return _change_basket(request, lambda cart: services.accept_prices(cart, request.POST["accept"] or "nothing"))


def _take_fewer(request: HttpRequest) -> HttpResponse:
    """Make a line as many as the page said there are left (`take` is its primary key and that number)."""
    pk, _dash, left = request.POST["take"].partition("-")
    item, quantity = read_key(pk), read_key(left)
    if item is None or not quantity or quantity > services.MOST_PER_LINE:
        return _show_sums(request)
    return _change_basket(request, lambda cart: services.set_quantity(cart, item, quantity))


def _change_basket(request: HttpRequest, change: Callable[[Cart], Basket]) -> HttpResponse:
    """Do this to the visitor's basket and show the page again, which says what still stands in the way."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    try:
        with transaction.atomic():
            if cart := find_cart_for(request):
                check_places(request, change(cart).newly_held)
    except TooManyPlaces:
        return too_many(request)
    except (CartItem.DoesNotExist, Unavailable):
        pass  # what is shown now says why
    return _show_sums(request)


# What a button of the page may ask for, besides to place the order.
STEPS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "take": _take_fewer,
    "accept": _accept_prices,
    "keep": _keep_longer,
    "update": _show_sums,
}


def _review(
    request: HttpRequest, choices: ChoicesForm, form: CheckoutForm | None, refusal: CannotPlace | None = None
) -> HttpResponse:
    """The review page, with what was chosen and typed, and why it did not go on (`form` None: nobody tried to)."""
    basket = basket_for(request)
    if not basket.items:
        return _leave_empty_checkout(request)
    find_shortages(basket)
    quote = make_quote(basket, choices.choices)
    if choices.is_bound:
        choices.tell(quote, with_gaps=form is not None)
    fresh = {"cart": str(basket.items[0].cart.uuid), "agreed": quote.fingerprint, **as_shown(quote.chosen)}
    who = _who_comes(request, basket, is_judged=form is not None)
    context = {
        "basket": basket,
        "quote": quote,
        "choices": choices,
        "who": who,
        "form": _with(fresh, form) if form else _untried(request, fresh),
        "hindrances": [problem.sentence for problem in quote.problems if problem.about == "basket"],
        "reasons": _not_beside_a_field(refusal.reasons if refusal else (), choices),
        "is_dearer": isinstance(refusal, Dearer),
        "amiss": _what_is_amiss(form, choices, who) if form else [],
    }
    if "update" in request.POST and wants_fragment(request):
        return render(request, "orders/_checkout_review.html", context)
    return render(request, "orders/checkout.html", context, status=422 if form else 200)


def _leave_empty_checkout(request: HttpRequest) -> HttpResponse:
    """There is nothing to place: on to the order that waits to be paid (placed in another window, or come back from),
    or to the empty basket. htmx goes there with the whole page: an open checkout has no place for it."""
    order = find_unpaid(request)
    address = order.get_absolute_url() if order else reverse("cart:detail")
    return HttpResponseClientRedirect(address) if is_htmx(request) else redirect(address)


def _who_comes(request: HttpRequest, basket: Basket, *, is_judged: bool) -> AttendeesForm:
    """The form of who comes to what is in the basket now, with all that was typed; judged once sent to go on."""
    asked = attendees.about_basket(basket.items)
    if is_judged:
        return AttendeesForm(asked, request.POST)
    return AttendeesForm(asked, so_far=request.POST.dict())


def _untried(request: HttpRequest, fresh: dict[str, str]) -> CheckoutForm:
    """The form as it was typed so far, without judging it; at first with what we know of whoever signed in."""
    user = user_of(request)
    known = {"name": user.name, "email": user.email} if user else {}
    kept = {name: request.POST[name] for name in ("name", "email", "terms") if name in request.POST}
    return CheckoutForm(initial=known | kept | fresh)


def _with(fresh: dict[str, str], form: CheckoutForm) -> CheckoutForm:
    """The form as it was sent, but about what is shown now."""
    data: QueryDict = form.data.copy()  # type: ignore[attr-defined]
    for name, value in fresh.items():
        data[name] = value
    form.data = data
    return form


def _not_beside_a_field(reasons: tuple[str, ...], choices: ChoicesForm) -> list[str]:
    """The reasons that are not said beside a field anyway."""
    beside = {sentence for errors in choices.errors.values() for sentence in errors} if choices.is_bound else set()
    return [reason for reason in reasons if reason not in beside]


def _what_is_amiss(form: CheckoutForm, choices: ChoicesForm, who: AttendeesForm) -> list[tuple[str, str]]:
    """What is wrong beside fields, each after the id of its field, in the order of the page."""
    handover = [choices[name] for name in ("handover", "street", "town", "postcode", "instructions")]
    first, last = [*handover, form["name"], form["email"]], [choices["voucher"], form["terms"]]
    return [*_errors_of(first), *who.amiss, *_errors_of(last)]


def _errors_of(fields: Sequence[BoundField]) -> list[tuple[str, str]]:
    return [(field.id_for_label, str(error)) for field in fields for error in field.errors]


def _place(request: HttpRequest) -> HttpResponse:
    if not limits.is_within(request, "order"):
        return too_many(request)
    form, choices = CheckoutForm(request.POST), ChoicesForm(request.POST)
    if not (form.is_valid() and choices.is_valid()):
        return _review(request, choices, form)
    data = form.cleaned_data
    try:
        order, _is_new = place(
            data["cart"],
            token=token_of(request),
            user=user_of(request),
            agreed=data["agreed"],
            shown=form.shown,
            name=data["name"],
            email=data["email"],
            chosen=choices.choices,
            attendees=_reader_of(request),
        )
    except CannotPlace as refusal:
        return _review(request, choices, form, refusal)
    answer = access.remember(request, go_and_pay(request, order), order)
    return set_cart_cookie(answer, token_after_order(token_of(request)))


def _reader_of(request: HttpRequest) -> Reader:
    """Reads who comes from what was typed; what is wrong is said beside its field once the page is shown again."""

    def read(asked: Sequence[Asked]) -> Mapping[str, Guest]:
        form = AttendeesForm(asked, request.POST)
        if not form.is_valid():
            raise CannotPlace
        return form.guests

    return read


@require_safe
def terms(request: HttpRequest) -> HttpResponse:
    """What shoppers agree to, in the wording that is valid now."""
    return render(request, "orders/terms.html", {"version": settings.TERMS_VERSION})
