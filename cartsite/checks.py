"""What `manage.py check --deploy` and the start of the web server say of settings that work, but not well."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

NO_PROXY_LISTED = Warning(
    "TRUSTED_PROXIES is empty, though this shop never speaks TLS itself.",
    hint="Name the address of the proxy in front of it: until then all shoppers count as one visitor, and the limits "
    "on orders and sign-ins stop them together.",
    id="cartsite.W001",
)


def https_needs_a_listed_proxy(**_: Any) -> list[CheckMessage]:
    """An https address means that a proxy stands in front, so one must be listed."""
    return [NO_PROXY_LISTED] if settings.HTTPS and not settings.TRUSTED_PROXIES else []
