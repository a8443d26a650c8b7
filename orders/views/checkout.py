"""Checkout: who orders, a last look at exactly what will be charged, and the way to SumUp."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cart.visitors import basket_for, token_of, user_of
from cartsite import limits
from cartsite.sorry import too_many
from orders import access
from orders.forms import CheckoutForm
from orders.placing import CannotPlace, place
from orders.views.paying import go_and_pay


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """Who orders, and a last look at exactly what will be charged; a POST places the order and leads to SumUp."""
    if request.method == "POST":
        return _place(request)
    return _review(request, None)


def _review(request: HttpRequest, form: CheckoutForm | None, reasons: tuple[str, ...] = ()) -> HttpResponse:
    """The review page, with what was typed and why it did not go on."""
    basket = basket_for(request)
    if not basket.items:
        return redirect("cart:detail")
    fresh = {"cart": basket.items[0].cart.uuid, "agreed": basket.fingerprint}
    if form is None:
        user = user_of(request)
        form = CheckoutForm(initial=fresh | ({"name": user.name, "email": user.email} if user else {}))
    else:
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data.update({name: str(value) for name, value in fresh.items()})  # type: ignore[attr-defined]
    context = {"basket": basket, "form": form, "reasons": reasons}
    return render(request, "orders/checkout.html", context, status=422 if form.is_bound else 200)


def _place(request: HttpRequest) -> HttpResponse:
    if not limits.is_within(request, "order"):
        return too_many(request)
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        return _review(request, form)
    data = form.cleaned_data
    try:
        order, _is_new = place(
            data["cart"],
            token=token_of(request),
            user=user_of(request),
            agreed=data["agreed"],
            name=data["name"],
            email=data["email"],
        )
    except CannotPlace as refusal:
        return _review(request, form, refusal.reasons)
    return access.remember(request, go_and_pay(request, order), order)
