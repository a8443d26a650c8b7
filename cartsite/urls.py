"""Every address of the shop; the only module that knows every room."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import include, path
from django.views.generic import RedirectView

from cart.api import router as cart_router
from cartsite import sorry, views
from cartsite.api import api
from orders.api import router as stock_router

api.add_router("/cart", cart_router)
api.add_router("/stock", stock_router)


def sign_in_for_admin(request: HttpRequest) -> HttpResponse:
    """Staff sign in where everybody does, so that limits and carts are looked after in one place."""
    if request.user.is_authenticated and not request.user.is_staff:
        raise PermissionDenied  # signing in again would lead them back here
    query = request.GET.urlencode()
    return redirect(f"/sign-in/?{query or 'next=/admin/'}")


urlpatterns = [
    path("", include("cart.urls")),
    path("", include("bookings.urls")),
    path("", include("orders.urls")),
    path("", include("payments.urls")),
    path("sign-in/", views.SignIn.as_view(), name="login"),
    path("sign-out/", views.SignOut.as_view(), name="logout"),
    path("internal/", api.urls),
    path("admin/login/", sign_in_for_admin),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url="/static/img/favicon.svg")),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]

handler400 = sorry.bad_request
handler403 = sorry.forbidden
handler404 = sorry.not_found
handler500 = sorry.broken
