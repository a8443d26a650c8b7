"""Signing in with the co-operative's own account service, by OpenID Connect."""

from typing import Any

from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponseBase
from requests import RequestException

from cartsite.reauthentication import require_recent_sign_in

NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint")


class SignOnService(OpenIDConnectOAuth2Adapter):
    """The account service, believed no further than it must be."""

    def get_provider(self) -> Any:
        provider = super().get_provider()
        provider.oauth2_adapter_class = SignOnService
        return provider

    @property
    def openid_config(self) -> dict[str, Any]:
        """Where the service is, as it says itself."""
        try:
            config = super().openid_config
        except (RequestException, ValueError, AttributeError) as error:
            raise OAuth2Error("the service does not say where it is") from error
        if not all(isinstance(config.get(name), str) for name in NEEDED):
            raise OAuth2Error("the service leaves out where it is")
        return dict(config)

    def _fetch_user_info(self, access_token: str) -> dict[str, Any]:
        """Who it is. An address counts as confirmed only if the service says so in as many words."""
        told = super()._fetch_user_info(access_token)
        if not isinstance(told, dict) or not isinstance(told.get("sub"), str):
            raise OAuth2Error("the service does not say who it is")
        email, confirmed = told.get("email"), told.get("email_verified")
        email = email if isinstance(email, str) else ""
        return told | {"email": email, "email_verified": confirmed is True or confirmed == "true"}

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        """The person, if both things that the service said are about the same one. Nothing of it is kept but who."""
        login = super().complete_login(request, app, token, **kwargs)
        told = login.account.extra_data
        if told["userinfo"]["sub"] != told.get("id_token", {}).get("sub"):
            raise OAuth2Error("the service speaks of two people")
        login.account.extra_data = {}
        return login


def start(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Go to the service: by a button, never by a link.

    For somebody who is signed in already it becomes another way into their account.
    """
    if request.method == "POST":
        require_recent_sign_in(request)
    return _talk(OAuth2LoginView, request, provider_id)


def come_back(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """The service sends people back here."""
    return _talk(OAuth2CallbackView, request, provider_id)


def _talk(view: Any, request: HttpRequest, provider_id: str) -> HttpResponseBase:
    service = SignOnService(request, provider_id)
    try:
        answer: HttpResponseBase = view.adapter_view(service)(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    except OAuth2Error as error:
        answer = render_authentication_error(request, service.get_provider(), exception=error)
    return answer
