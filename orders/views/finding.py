"""The link to an order got lost: it is sent again, to the order's own e-mail address and nowhere else."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cartsite import limits
from cartsite.sorry import too_many
from orders import access, services
from orders.forms import FindOrderForm


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """Ask for the number only; the answer is the same whether there is such an order or not."""
    if request.method != "POST":
        form = FindOrderForm(initial={"number": request.GET.get("number", "")[:40]})
        return render(request, "orders/find.html", {"form": form, "is_done": "done" in request.GET})
    if not limits.is_within(request, "link"):
        return too_many(request)
    form = FindOrderForm(request.POST)
    if not form.is_valid():
        return render(request, "orders/find.html", {"form": form}, status=422)
    _send_link(form.cleaned_data["number"])
    return redirect(f"{request.path}?done")


def _send_link(number: str) -> None:
    """Owe the mail with the order's link, at most one in an hour."""
    order = access.find_by_number(number)
    if order is not None and hasattr(order, "contact"):
        services.owe_mail(order, "link", occurrence=f"{timezone.now():%Y-%m-%dT%H}")
