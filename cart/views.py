"""The market and the cart: fast with htmx, complete without JavaScript."""

from collections.abc import Callable, Mapping
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.models import Entry, PriceKind
from cart import services
from cart.forms import AddForm, PricesForm, QuantitiesForm, QuantityForm
from cart.models import Cart, CartItem, Product
from cart.services import Basket, CannotUndo, Unavailable, UnknownCart
from cart.shortages import find_shortages
from cart.visitors import (
    TooManyPlaces,
    basket_for,
    check_places,
    even_if_emptied,
    find_cart_for,
    open_cart_for,
    set_cart_cookie,
    token_of,
    user_of,
)
from cartsite import limits
from cartsite.http import is_htmx, wants_fragment
from cartsite.models import User
from cartsite.paging import page_of
from cartsite.sorry import too_many

PER_PAGE = 60
GONE_ELSEWHERE = _("That was removed from your basket in another window. This is what is in it now.")


@require_safe
def market(request: HttpRequest) -> HttpResponse:
    """Products by stall, those that have all the words of `q` if there are any."""
    words = request.GET.get("q", "").replace("\x00", "")[:100].strip()
    products = Product.objects.on_sale().matching(words)
    page = page_of(products, ("stall__name", "title", "pk"), request.GET.get("after", ""), PER_PAGE)
    template = "cart/_products.html" if wants_fragment(request) else "cart/market.html"
    context = {"page": page, "words": words, "is_first": not request.GET.get("after")}
    return render(request, template, context)


@never_cache  # after signing out, nobody sees it by going back
@require_safe
def detail(request: HttpRequest) -> HttpResponse:
    """The cart: lines of both kinds, what they cost, and how long scarce ones are held; htmx gets the lines alone."""
    template = "cart/_items.html" if wants_fragment(request) else "cart/detail.html"
    basket = even_if_emptied(request, basket_for(request))
    find_shortages(basket)
    return render(request, template, {"basket": basket})


@require_POST
def add_item(request: HttpRequest) -> HttpResponse:
    """Put a product or places at an entry into the cart; htmx swaps the form and the badge, a browser gets the cart."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    form = AddForm(request.POST)
    thing = _find_thing(form)
    price_kind = _find_price_kind(thing, form)
    error, token = "", None
    basket: Basket | None = None
    if form.is_valid():
        try:
            with transaction.atomic():
                cart, token = open_cart_for(request)
                basket = services.add(cart, thing, form.cleaned_data["quantity"], price_kind)
                check_places(request, basket.newly_held)
        except TooManyPlaces:
            return too_many(request)
        except Unavailable as unavailable:
            error = str(unavailable)
    else:
        error = str(form.errors["quantity"][0])
    return set_cart_cookie(_answer_add(request, thing, basket, error), None if error else token)


def _find_thing(form: AddForm) -> Product | Entry:
    """The product or the entry that the form names; 404 if it names none or both, or one that nobody can see."""
    form.is_valid()
    sku, entry = form.cleaned_data.get("product"), form.cleaned_data.get("entry")
    if form.has_error("product") or form.has_error("entry") or bool(sku) == bool(entry):
        raise Http404
    if sku:
        return get_object_or_404(Product.objects.select_related("stall", "pool"), sku=sku, archived_at=None)
    return get_object_or_404(Entry.objects.listed(), pk=entry)


def _find_price_kind(thing: Product | Entry, form: AddForm) -> PriceKind | None:
    """Which of an entry's other prices, of today or of old, the form names; None for its own, 404 for another's."""
    named = form.cleaned_data.get("price_kind")
    if form.has_error("price_kind"):
        raise Http404
    if named is None:
        return None
    kind = get_object_or_404(PriceKind, uuid=named)
    if not isinstance(thing, Entry) or not kind.was_price_of(thing):
        raise Http404
    return kind


def _answer_add(request: HttpRequest, thing: Product | Entry, basket: Basket | None, error: str) -> HttpResponse:
    status = 422 if error else 200
    basket = basket or basket_for(request)
    if is_htmx(request):
        context = {"thing": thing, "basket": basket, "error": error, "added": not error}
        return render(request, "cart/_added.html", context, status=status)
    if error:
        return render(request, "cart/detail.html", {"basket": basket, "error": error}, status=status)
    return redirect("cart:detail")


@require_POST
def update_item(request: HttpRequest, item_id: int) -> HttpResponse:
    """Change a line's quantity, 0 removes it; htmx swaps the lines, a plain browser reloads."""
    form = QuantityForm(request.POST)
    if not form.is_valid():
        if not limits.is_within(request, "hold"):
            return too_many(request)
        return _answer_change(request, basket_for(request), str(form.errors["quantity"][0]), item_id)
    quantity = form.cleaned_data["quantity"]
    return _change_cart(request, lambda cart: services.set_quantity(cart, item_id, quantity), item_id)


@require_POST
def update_quantities(request: HttpRequest) -> HttpResponse:
    """Change all quantities that were typed, and go on to the checkout if that was pressed and all could be changed."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    form = QuantitiesForm(request.POST.dict())
    form.is_valid()
    refused = dict(form.refused)
    try:
        with transaction.atomic():
            if (cart := find_cart_for(request)) and form.changed:
                basket, unavailable = services.set_quantities(cart, form.changed)
                check_places(request, basket.newly_held)
                refused |= unavailable
            elif form.changed:
                raise CartItem.DoesNotExist
    except TooManyPlaces:
        return too_many(request)
    except CartItem.DoesNotExist:
        return _answer_change(request, basket_for(request), str(GONE_ELSEWHERE))
    if "checkout" in request.POST and not refused:
        return redirect("orders:checkout")
    return _answer_change(request, basket_for(request), refused=refused)


@require_POST
def save_item(request: HttpRequest, item_id: int) -> HttpResponse:
    """Save a line for later: it gives back what it holds."""
    return _change_cart(request, lambda cart: services.save_for_later(cart, item_id), item_id)


@require_POST
def bring_item_back(request: HttpRequest, item_id: int) -> HttpResponse:
    """Put a saved line into the basket again, or say beside it why that cannot be."""
    return _change_cart(request, lambda cart: services.bring_back(cart, item_id), item_id)


@require_POST
def accept_prices(request: HttpRequest) -> HttpResponse:
    """The shopper agrees to prices that went up: to all that the page showed, or to one line's."""
    form = PricesForm(request.POST)
    agreed, item_id = ("", None) if not form.is_valid() else (form.cleaned_data["agreed"], form.cleaned_data["item"])
    return _change_cart(request, lambda cart: services.accept_prices(cart, agreed, item_id))


@require_POST
def renew(request: HttpRequest) -> HttpResponse:
    """Hold what is scarce for the full hour, and what lapsed once more, as far as it is free."""
    return _change_cart(request, services.renew)


def _change_cart(request: HttpRequest, change: Callable[[Cart], Basket], item_id: int = 0) -> HttpResponse:
    """Do this to the visitor's cart and show it; of a line (if one is named) that is not there, say that it is gone."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    changed, error = Basket(), ""
    try:
        with transaction.atomic():
            if cart := find_cart_for(request):
                changed = change(cart)
                check_places(request, changed.newly_held)
            elif item_id:
                raise CartItem.DoesNotExist
    except TooManyPlaces:
        return too_many(request)
    except CartItem.DoesNotExist:
        # Another's line gets the same answer as one that was removed in another tab.
        return _answer_change(request, basket_for(request), str(GONE_ELSEWHERE))
    except Unavailable as unavailable:
        error = str(unavailable)
    basket = changed if changed.cart else basket_for(request)
    if not is_htmx(request):  # which shows them with the lines
        for sentence in basket.gone:
            messages.warning(request, sentence)
    return _answer_change(request, basket, error, item_id)


def _answer_change(
    request: HttpRequest, basket: Basket, error: str = "", item_id: int = 0, refused: Mapping[int, str] | None = None
) -> HttpResponse:
    """The changed lines for htmx; the whole page with errors beside their lines, or a redirect, for a plain browser.

    `error` is about the line `item_id`, or about none; `refused` are further errors by line.
    """
    wrong = {**(refused or {}), **({item_id: error} if error and item_id else {})}
    find_shortages(basket)
    for item in basket.lines:
        item.error = wrong.get(item.pk, "")
    error = error or next((item.error for item in basket.lines if item.error), "")
    context = {"basket": basket, "error": error, "is_beside_a_line": any(item.error for item in basket.lines)}
    if is_htmx(request):
        return render(request, "cart/_items.html", context, status=422 if error else 200)
    if error:
        return render(request, "cart/detail.html", context, status=422)
    return redirect("cart:detail")


# --- Two baskets ------------------------------------------------------------------------------------------------------


@require_POST
def undo_merge(request: HttpRequest, merge: UUID) -> HttpResponse:
    """Give both baskets back what they held before they met; the visitor goes on with the one they had looked at."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    try:
        token = services.undo_merge(token_of(request), user_of(request), merge)
    except CannotUndo as refusal:
        return _answer_change(request, basket_for(request), str(refusal))
    return _show_cart_of(request, token)


@require_POST
def put_merge_away(request: HttpRequest, merge: UUID) -> HttpResponse:
    """The visitor has read how their baskets met; the message goes, and everything stays as it is."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    services.put_away(token_of(request), user_of(request), merge)
    return _answer_change(request, basket_for(request))


@require_POST
def put_together(request: HttpRequest) -> HttpResponse:
    """Put the basket that the visitor looks at together with the one in their account."""
    return _choose_cart(request, services.adopt)


@require_POST
def use_own(request: HttpRequest) -> HttpResponse:
    """Go on with the basket in the visitor's account; what is in the one they look at is saved for later there."""
    return _choose_cart(request, services.leave)


def _choose_cart(request: HttpRequest, choose: Callable[[str, User], tuple[Cart, str]]) -> HttpResponse:
    """End up with one cart, the user's, in this way; a visitor who has but one keeps it."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    user = user_of(request)
    if user is None:
        return _answer_change(request, basket_for(request))
    try:
        _cart, token = choose(token_of(request), user)
    except UnknownCart:
        return _answer_change(request, basket_for(request))
    return _show_cart_of(request, token)


def _show_cart_of(request: HttpRequest, token: str) -> HttpResponse:
    """The cart of a token that the visitor is given with this answer."""
    basket = services.basket_of(token, user_of(request))
    return set_cart_cookie(_answer_change(request, basket), token)
