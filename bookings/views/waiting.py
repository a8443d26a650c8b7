"""The waiting list, for those who join it, and for those in it who come with their link."""

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from bookings import waiting
from bookings.forms import JoinForm, StepForm
from bookings.models import Entry, Waiter
from bookings.waiting import CannotJoin
from cart.offers import take_offer
from cart.services import Unavailable
from cart.visitors import open_cart_for, set_cart_cookie, user_of
from cartsite import limits
from cartsite.http import is_htmx
from cartsite.secret_links import SecretLinks
from cartsite.sorry import too_many

LINKS = SecretLinks(cookie="waiter", salt="bookings.waiting", lasts=60 * 60 * 24 * 90)


# --- Joining ----------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Join the line for an entry. The answer is the same whether an address is in it already or not."""
    entry = get_object_or_404(Entry.objects.listed(), pk=entry_id)
    if request.method != "POST":
        context = {"entry": entry, "is_done": "done" in request.GET, "reason": waiting.why_closed(entry)}
        return render(request, "bookings/wait.html", context)
    if not limits.is_within(request, "waiting"):
        return too_many(request)
    form = JoinForm(entry, request.POST)
    waiter = _join(request, entry, form) if form.is_valid() else None
    if waiter is None:
        template = "bookings/_join.html" if is_htmx(request) else "bookings/wait.html"
        return render(request, template, {"entry": entry, "join_form": form, "is_open": True}, status=422)
    # Only somebody who has confirmed this address is told more than that a mail is on its way.
    own = waiter if waiter.user_id is not None and waiter.user_id == request.user.pk else None
    if is_htmx(request):
        return render(request, "bookings/_joined.html", {"entry": entry, "waiter": own})
    return redirect(own) if own else redirect(f"{request.path}?done")


def _join(request: HttpRequest, entry: Entry, form: JoinForm) -> Waiter | None:
    """Put whoever asks into the line, or mail them the link that does; if it is not open to them, the form says why."""
    try:
        return waiting.join(entry, **form.cleaned_data, user=user_of(request))
    except CannotJoin as refusal:
        form.add_error(None, str(refusal))
        return None


# --- Whoever is in it -------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def status(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Somebody's place in the line, and what is offered to them. Looking changes nothing: programs that read mail
    follow its links, too."""
    if request.method != "POST" and "key" in request.GET:
        return _take_secret(request, uuid, request.GET["key"])
    waiter = _find_waiter(request, uuid)
    if request.method == "POST":
        return _take_step(request, waiter)
    return _show(request, waiter)


def _show(request: HttpRequest, waiter: Waiter, error: str = "") -> HttpResponse:
    """The page as things are now: an offer that has run out is over, whether or not a sweep has said so."""
    context = {
        "waiter": waiter,
        "entry": waiter.entry,
        "turn": waiting.turn_of(waiter) if waiter.status == Waiter.Status.WAITING else None,
        "can_be_offered": waiting.offer_ends(waiter.entry) is not None,
        "is_over": waiting.is_over(waiter.entry),
        "may_confirm": waiting.may_confirm(waiter),
        "reason": waiting.why_closed(waiter.entry) if waiter.status == Waiter.Status.ASKED else "",
        "error": error,
    }
    return render(request, "bookings/waiting.html", context, status=422 if error else 200)


def _take_step(request: HttpRequest, waiter: Waiter) -> HttpResponse:
    """Do what they chose, once, however often they say it."""
    form = StepForm(request.POST)
    if not form.is_valid():
        return _show(request, waiter, _("Please press one of the buttons below."))
    step = form.cleaned_data["step"]
    if step == StepForm.CONFIRM:
        return _confirm(request, waiter)
    if step == StepForm.TAKE:
        return _take(request, waiter)
    if step == StepForm.DECLINE and waiting.decline(waiter):
        messages.success(request, _("Thank you. We offer it to the next in line."))
    if step == StepForm.LEAVE and waiting.leave(waiter):
        messages.success(request, _("You are not on the waiting list any more."))
    return redirect(waiter)


def _confirm(request: HttpRequest, waiter: Waiter) -> HttpResponse:
    """Put them into the line, and show their place there: the one that their address has, if it has one already."""
    try:
        standing = waiting.confirm(waiter)
    except CannotJoin as refusal:
        return _show(request, _find_waiter(request, waiter.uuid), str(refusal))
    messages.success(request, _("Thank you. You are on the waiting list."))
    return LINKS.remember(request, redirect(standing), standing.uuid)


def _take(request: HttpRequest, waiter: Waiter) -> HttpResponse:
    """Put what is offered into the visitor's basket, and show that."""
    if not limits.is_within(request, "hold"):
        return too_many(request)
    try:
        with transaction.atomic():
            cart, token = open_cart_for(request)
            take_offer(cart, waiter)
    except Unavailable as unavailable:
        return _show(request, _find_waiter(request, waiter.uuid), str(unavailable))
    return set_cart_cookie(redirect("cart:detail"), token)


# --- Who may see it ---------------------------------------------------------------------------------------------------


def _find_waiter(request: HttpRequest, uuid: UUID) -> Waiter:
    """The one of this address, if this visitor is it, or came with its link before; 404 otherwise, known or not."""
    waiter = _by_uuid(uuid)
    if not _may_see(request, waiter or Waiter(pk=0)) or waiter is None:
        raise Http404
    return waiter


def _by_uuid(uuid: UUID) -> Waiter | None:
    loaded = Waiter.objects.select_related("entry__calendar__stall", "entry__pool", "price_kind", "hold")
    return loaded.filter(uuid=uuid).first()


def _may_see(request: HttpRequest, waiter: Waiter) -> bool:
    if waiter.user_id is not None and request.user.pk == waiter.user_id:
        return True
    return LINKS.may_see(request, waiter.uuid, path=waiter.get_absolute_url())


def _take_secret(request: HttpRequest, uuid: UUID, presented: str) -> HttpResponse:
    """Let whoever has the key see it from now on, at an address without the key; else 404."""
    waiter = _by_uuid(uuid)
    # Somebody's that does not exist is refused with the same work; its key is fresh.
    if not constant_time_compare((waiter or Waiter(pk=0)).key, presented) or waiter is None:
        raise Http404
    return LINKS.remember(request, redirect(waiter), waiter.uuid)
