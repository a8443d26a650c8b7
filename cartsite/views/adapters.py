"""What the account library asks of us: whom to let in, what to say, and what a sign-in brings along."""

import logging
from typing import Any, TypeVar
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from cart.services import UnknownCart, adopt
from cart.visitors import set_cart_cookie, token_of
from cartsite import cookies, mail_on_request
from cartsite.limits import give_back_try, network_of, take_try
from cartsite.models import User
from cartsite.plain_text import for_mail
from cartsite.signin import account_named, cut_loose, may_sign_in, new_username
from cartsite.sorry import mail_is_down
from orders.services import take_over_guest_orders

logger = logging.getLogger(__name__)

Response = TypeVar("Response", bound=HttpResponseBase)

# What is said after a step, by the template that the library would show; of everything else nothing is said.
SAID = {
    "account/messages/logged_in.txt": _("You are signed in."),
    "account/messages/email_confirmed.txt": _("Your e-mail address is confirmed."),
    "account/messages/email_confirmation_failed.txt": _("This e-mail address belongs to another account."),
    "account/messages/password_changed.txt": _("Your password is changed. Everywhere else you are signed out now."),
    "account/messages/password_set.txt": _("You have a password now. Everywhere else you are signed out."),
    "socialaccount/messages/account_connected.txt": _("The two accounts are connected."),
    "socialaccount/messages/account_connected_updated.txt": _("The two accounts were connected already."),
    "socialaccount/messages/account_connected_other.txt": _("That account is connected to another account here."),
}


# The mail about accounts that anybody can have sent to any address. The rest tells an owner of what was done, or goes
# to somebody who is signed in.
ON_REQUEST = frozenset(
    f"account/email/{name}"
    for name in (
        *("login_code", "password_reset_code", "email_confirmation", "email_confirmation_signup"),
        *("account_already_exists", "unknown_account"),
    )
)


class AccountAdapter(DefaultAccountAdapter):
    """Accounts as this shop has them."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "duplicate_email": _("This is your address already."),
        "email_taken": _("There is another account with this address. Sign in to that one instead."),
        "enter_current_password": _("This is not your password."),
        "incorrect_password": _("This is not your password."),
        "incorrect_code": _("This is not the code that we sent. Please look again."),
        "rate_limited": _("That was a lot in a short time. Please wait a minute."),
        "too_many_login_attempts": _("Those were too many tries. Please wait a few minutes, or ask for a new code."),
    }

    # --- Whom to let in

    def populate_username(self, request: HttpRequest, user: User) -> None:
        user.username = user.username or new_username()

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """The person with this name and password; the wrong passwords for an account count by network."""
        at = account_named(credentials.get("username", "")), network_of(self.get_client_ip(request))
        if not take_try("password", *at):
            raise self.validation_error("too_many_login_attempts")
        user = authenticate(request, **credentials)
        if user is not None:
            give_back_try("password", *at)
        return user

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        if not may_sign_in(user):
            request.session.flush()
            refusal: HttpResponse = self.respond_user_inactive(request, user)
            return refusal
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def login(self, request: HttpRequest, user: User) -> None:
        forget_messages(request)
        super().login(request, user)

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """Go on to where they were heading, with their basket and what they ordered as a guest."""
        response: HttpResponse = super().post_login(request, user, **kwargs)
        bring_orders(user)
        return bring_cart(request, user, response)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        confirmed = bool(super().confirm_email(request, email_address))
        if confirmed:
            bring_orders(email_address.user)
        return confirmed

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        return False  # it is changed instead

    def is_safe_url(self, url: str) -> bool:
        """Whether an address is one of ours, and so may be gone on to."""
        ours = {self.request.get_host()}
        return url_has_allowed_host_and_scheme(url, allowed_hosts=ours, require_https=self.request.is_secure())

    def get_client_ip(self, request: HttpRequest) -> str:
        return str(request.META.get("REMOTE_ADDR", ""))  # cartsite.middleware.trust_proxies has put it right

    # --- What to say, and where to go

    def is_ajax(self, request: HttpRequest) -> bool:
        return False  # a page for everybody

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        if said := more.get("message") or SAID.get(message_template or ""):
            messages.add_message(request, level, said)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account")

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        return reverse("account")

    # --- Mail

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], headers: dict[str, str] | None = None
    ) -> EmailMultiAlternatives:
        """A mail from one text: its first line is the subject, and its HTML is the same words in our dress."""
        told = {"public_url": settings.PUBLIC_URL, "minutes": settings.CODE_LASTS // 60} | context
        subject, _line, body = render_to_string(f"{template_prefix}.txt", told).strip().partition("\n\n")
        mail = EmailMultiAlternatives(subject, body, self.get_from_email(), [email], headers=headers)
        letter = {"subject": subject, "paragraphs": body.split("\n\n"), "code": context.get("code")}
        if template_prefix in ON_REQUEST:
            letter["stop_link"] = mail_on_request.stop_link(email)
            mail.body += "\n\n" + render_to_string("account/email/_stop.txt", letter).strip() + "\n"
        mail.attach_alternative(render_to_string("account/email/_letter.html", letter), "text/html")
        return mail

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send it at once, since somebody waits for it; if that cannot be done, say so instead of going on.

        What anybody can ask for goes only where it may; whoever asks is not told.
        """
        try:
            if template_prefix not in ON_REQUEST:
                super().send_mail(template_prefix, email, context)
                return
            with mail_on_request.counted(email) as may_go:
                if may_go:
                    super().send_mail(template_prefix, email, context)
        except OSError as error:  # all that smtplib raises is one
            logger.error("A mail (%s) could not be sent: %s", template_prefix, type(error).__name__)
            raise ImmediateHttpResponse(mail_is_down(self.request)) from error

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Tell of what was done; it stays done if the mail cannot be sent."""
        try:
            super().send_notification_mail(*args, **kwargs)
        except ImmediateHttpResponse:
            return


def forget_messages(request: HttpRequest) -> None:
    """Drop what was said to whoever used this browser before, and was not shown yet."""
    list(messages.get_messages(request))


def bring_orders(user: User) -> None:
    """Put what was ordered as a guest with an address that is confirmed to be this person's into their account."""
    addresses = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    take_over_guest_orders(user, list(addresses))


def bring_cart(request: HttpRequest, user: User, response: Response) -> Response:
    """Make the basket filled before the person's own, and give them its fresh cookie.

    On the way to the checkout they go on with the very basket they looked at.
    """
    token = token_of(request)
    if not token:
        return response
    before = timezone.now()
    to_checkout = urlsplit(response.headers.get("Location", "")).path == reverse("orders:checkout")
    try:
        cart, fresh = adopt(token, user, keep_presented=to_checkout)
    except UnknownCart:
        cookies.drop(response, settings.CART_COOKIE)
        return response
    if cart.last_merge and cart.last_merge.made_at >= before and not to_checkout:
        messages.info(request, _("Your basket has met the one of your account: look at it to see what changed."))
    return set_cart_cookie(response, fresh)


class SignOnAdapter(DefaultSocialAccountAdapter):
    """The co-operative's account service, if the settings name one."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The services that fit, from the settings alone: none are kept in the database."""
        found = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
        apps = [SocialApp(provider="openid_connect", **app) for app in found]
        return [
            app
            for app in apps
            if provider in (None, app.provider, app.provider_id) and client_id in (None, app.client_id)
        ]

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """A new person, by what the service tells; a name of their own choice at the service is not one here."""
        user: User = sociallogin.user
        user.email = str(data.get("email") or "").lower()
        user.name = for_mail(str(data.get("name") or "")[:200])[:200]
        return user

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[User, str] | None:
        """The person with an address that the service says is confirmed: so it is confirmed here, too."""
        found: tuple[User, str] | None = super().authenticate_by_email(sociallogin)
        if found:
            user, email = found
            cut_loose(user)
            EmailAddress.objects.update_or_create(user=user, email=email.lower(), defaults={"verified": True})
        return found

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("account")

    def on_authentication_error(self, request: HttpRequest, provider: Any, **kwargs: Any) -> None:
        """Write down what went wrong, without what the service said: that may tell who tried."""
        error, exception = kwargs.get("error"), kwargs.get("exception")
        logger.warning("Single sign-on failed: %s, %s", error, type(exception).__name__)
