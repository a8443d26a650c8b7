"""The page for whoever was sent mail that somebody else asked for, and wants no more of it."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cartsite import mail_on_request

STEPS = {"stop": mail_on_request.suppress, "allow": mail_on_request.lift}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest) -> HttpResponse:
    """Say how it stands, and do what is pressed. Looking changes nothing: programs that look into mail follow links."""
    key = request.POST.get("key") or request.GET.get("key", "")
    address_hash = mail_on_request.read_key(key)
    if address_hash is None:
        raise Http404
    step = STEPS.get(request.POST.get("step", ""))
    if step is not None:
        step(address_hash)
        return redirect(f"{request.path}?key={key}")
    shown = {"key": key, "is_stopped": mail_on_request.is_suppressed(address_hash)}
    return render(request, "cartsite/stop_mail.html", shown)
