"""Pages that belong to no room: signing in and out, and health."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from cart.services import UnknownCart, adopt
from cart.visitors import set_cart_cookie, token_of, user_of
from cartsite import limits
from cartsite.celery import app as celery_app
from cartsite.signin import SignInForm
from cartsite.sorry import too_many


class SignIn(LoginView):
    """Sign in with a name or an e-mail address; the cart filled before becomes the person's own."""

    template_name = "cartsite/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not limits.is_within(request, "signin"):
            return too_many(request)
        return super().post(request, *args, **kwargs)

    def get_redirect_url(self) -> str:  # type: ignore[override] # the stubs are of a later Django
        """Where to go on: not back here."""
        url = super().get_redirect_url()
        return "" if url.partition("?")[0] == self.request.path else url

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        token, user = token_of(self.request), user_of(self.request)
        if not token or user is None:
            return response
        try:
            _cart, fresh = adopt(token, user)
        except UnknownCart:
            response.delete_cookie("cart")
            return response
        return set_cart_cookie(response, fresh)


class SignOut(LogoutView):
    """Sign out; the next person at this browser starts with an empty cart."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        response.delete_cookie("cart")
        return response


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Alive: the process answers."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Ready: the database answers and has every migration, and the broker takes work. 503 names what is missing."""
    checks = {"database": _database_is_ready(), "broker": _broker_is_ready()}
    ready = all(checks.values())
    return JsonResponse({"status": "ready" if ready else "not ready", **checks}, status=200 if ready else 503)


def _database_is_ready() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return False


def _broker_is_ready() -> bool:
    try:
        with celery_app.connection_for_write(connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=1, timeout=3)
    except (OperationalError, OSError):
        return False
    return True
