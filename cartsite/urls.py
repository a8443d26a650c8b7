"""Every address of the shop; the only module that knows every room."""

from allauth.account import views as theirs
from allauth.socialaccount import views as sign_ons
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from cart.api import router as cart_router
from cartsite import sorry
from cartsite.api import api
from cartsite.reauthentication import recent_sign_in_required
from cartsite.views import account, health, mail, sign_on, signing
from cartsite.views.signing import limited
from orders.api import mail_router
from orders.api import router as stock_router

api.add_router("/cart", cart_router)
api.add_router("/stock", stock_router)
api.add_router("/mail", mail_router)


def sign_in_for_admin(request: HttpRequest) -> HttpResponse:
    """Staff sign in where everybody does, so that limits and carts are looked after in one place."""
    if request.user.is_authenticated and not request.user.is_staff:
        raise PermissionDenied  # signing in again would lead them back here
    query = request.GET.urlencode()
    return redirect(f"/sign-in/?{query or 'next=/admin/'}")


# A first password is another way into the account. What is typed would be lost, so it is asked before.
set_password = recent_sign_in_required("GET", "POST")(theirs.password_set)

account_urls = [
    path("", account.overview, name="account"),
    path("name/", account.change_name, name="account_name"),
    path("sign-up/", limited(signing.SignUp.as_view()), name="account_signup"),
    path("code/", limited(signing.AskForCode.as_view()), name="account_request_login_code"),
    path("code/confirm/", limited(signing.ConfirmSignIn.as_view()), name="account_confirm_login_code"),
    path("email/", never_cache(account.ChangeAddress.as_view()), name="account_email"),
    path("email/confirm/", limited(signing.ConfirmAddress.as_view()), name="account_email_verification_sent"),
    path("password/", never_cache(theirs.password_change), name="account_change_password"),
    path("password/set/", never_cache(set_password), name="account_set_password"),
    path("password/reset/", limited(theirs.password_reset), name="account_reset_password"),
    path(
        "password/reset/confirm/", limited(signing.ConfirmReset.as_view()), name="account_confirm_password_reset_code"
    ),
    path("password/reset/new/", limited(theirs.complete_password_reset), name="account_complete_password_reset"),
    path("inactive/", theirs.account_inactive, name="account_inactive"),
    path("sign-on/", account.connections, name="socialaccount_connections"),
    path("sign-on/cancelled/", sign_ons.login_cancelled, name="socialaccount_login_cancelled"),
    path("sign-on/new/", limited(sign_ons.signup), name="socialaccount_signup"),
    path("sign-on/<slug:provider_id>/", limited(sign_on.start), name="openid_connect_login"),
    path("sign-on/<slug:provider_id>/back/", sign_on.come_back, name="openid_connect_callback"),
]

urlpatterns = [
    path("", include("cart.urls")),
    path("", include("bookings.urls")),
    path("", include("orders.urls")),
    path("", include("payments.urls")),
    path("sign-in/", limited(signing.SignIn.as_view()), name="login"),
    path("sign-out/", signing.SignOut.as_view(), name="logout"),
    path("account/", include(account_urls)),
    # The names by which the account library knows them.
    path("sign-in/", limited(signing.SignIn.as_view()), name="account_login"),
    path("sign-out/", signing.SignOut.as_view(), name="account_logout"),
    path("mail/stop/", mail.stop, name="stop_mail"),
    path("internal/", api.urls),
    path("admin/login/", sign_in_for_admin),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url="/static/img/favicon.svg")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = sorry.bad_request
handler403 = sorry.forbidden
handler404 = sorry.not_found
handler429 = sorry.too_many  # the account library's own limits
handler500 = sorry.broken
