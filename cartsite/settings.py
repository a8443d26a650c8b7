"""Every setting of the shop, read from the environment, failing loudly.

A missing or bad value stops the start with one line that names it. Where a default stands, it is either safe in
production or applies with DEBUG on only (`local=...`).
"""

import ipaddress
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from kombu.transport import TRANSPORT_ALIASES

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = BASE_DIR / ".local"

SWITCHES = ("1", "true", "yes", "on", "0", "false", "no", "off")


class Environment(environ.Env):  # type: ignore[misc] # it has no types
    """django-environ, where a switch is on or off and nothing else, and a secret may begin with a $."""

    def get_value(self, var: str, cast: Any = None, **more: Any) -> Any:
        value = self.ENVIRON.get(var, "")
        return self.parse_value(value, cast) if value.startswith("$") else super().get_value(var, cast, **more)

    @classmethod
    def parse_value(cls, value: str, cast: Any) -> Any:
        if cast is bool and value.lower() not in SWITCHES:
            raise ValueError(f"{value} is neither on nor off")
        return super().parse_value(value, cast)


env = Environment()
env.read_env(BASE_DIR / ".env", overwrite=False)


def stop(name: str, reason: str) -> NoReturn:
    """End the program with one line that names the setting."""
    sys.exit(f"Setting {name}: {reason}.")


def read(
    kind: Callable[..., Any], name: str, *, local: Any = environ.Env.NOTSET, default: Any = environ.Env.NOTSET
) -> Any:
    """The value of one setting; `default` applies everywhere, `local` with DEBUG on only."""
    fallback = local if default is environ.Env.NOTSET and DEBUG else default
    if not env.str(name, default="") and fallback is environ.Env.NOTSET:
        stop(name, "is missing, and has no safe default in production")
    try:
        return kind(name, default=fallback) if env.str(name, default="") else fallback
    except (ValueError, ImproperlyConfigured) as error:
        stop(name, f"cannot be read ({error})")


def check(name: str, holds: bool, reason: str) -> None:
    """Stop unless what must be true of a setting is."""
    if not holds:
        stop(name, reason)


def parse(name: str, kind: Callable[[str], dict[str, Any]], url: str) -> dict[str, Any]:
    """What the URL of a service says, as Django wants to be told."""
    try:
        return kind(url)
    except (ValueError, ImproperlyConfigured) as error:
        stop(name, f"cannot be read ({error})")


def origin_of(url: str) -> str:
    """The scheme, host and port of a URL; nothing if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def is_this_machine(host: str) -> bool:
    """Whether a host, given by name or address, is this very machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.removesuffix(".").removesuffix(".localdomain").split(".")[-1] == "localhost"
    return address.is_loopback or address.is_unspecified


# --- What kind of place is this -------------------------------------------------------------------------------------

DEBUG = read(env.bool, "DEBUG", default=False)
# The demo shop on one's own machine: its logins are public, so they are refused anywhere else.
DEMO = read(env.bool, "DEMO", default=False)
check("DEMO", DEBUG or not DEMO, "is only possible with DEBUG on")
# A shop to try things out in, set up as in production: no real money moves, and everything says that it is a test.
STAGING = read(env.bool, "STAGING", default=False)

SECRET_KEY = read(env.str, "SECRET_KEY", local="only-for-this-machine-" + "x" * 40)
check("SECRET_KEY", DEBUG or len(SECRET_KEY) >= 50, "must have at least 50 characters")
ALLOWED_HOSTS = read(env.list, "ALLOWED_HOSTS", local=["localhost", "127.0.0.1", "[::1]"])
check("ALLOWED_HOSTS", bool(ALLOWED_HOSTS) and "/" not in "".join(ALLOWED_HOSTS), "must be hosts, such as shop.example")
check("ALLOWED_HOSTS", DEBUG or "*" not in ALLOWED_HOSTS, "must name the hosts; * is not safe in production")
PUBLIC_URL = read(env.str, "PUBLIC_URL", local="http://127.0.0.1:8000").rstrip("/")
check("PUBLIC_URL", origin_of(PUBLIC_URL) == PUBLIC_URL, "must be a scheme and a host, such as https://shop.example")
check("PUBLIC_URL", DEBUG or PUBLIC_URL.startswith("https://"), "must begin with https:// in production")
HTTPS = PUBLIC_URL.startswith("https://")

# --- The applications -----------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "cartsite",
    "bookings",
    "cart",
    "orders",
    "payments",
]

MIDDLEWARE = [
    "cartsite.middleware.trust_proxies",
    "cartsite.siblings.guard_siblings",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # which pads each page at random, so that its length tells no secret
    "csp.middleware.CSPMiddleware",
    "cartsite.middleware.allow_admin_scripts",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "cartsite.charsets.refuse_unreadable",
    "allauth.account.middleware.AccountMiddleware",
    "cartsite.views.reauthentication.AskAgain",
    "payments.page_calls.limit_page_calls",
    "cartsite.cookies.replace_old_cookies",
]

ROOT_URLCONF = "cartsite.urls"
WSGI_APPLICATION = "cartsite.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "cart.context.badge",
                "orders.context.unpaid",
            ],
            "builtins": ["cartsite.templatetags.shop"],
        },
    },
]

# --- The database: PostgreSQL, everywhere ---------------------------------------------------------------------------

DATABASE_URL = read(env.str, "DATABASE_URL", local="embedded")
if DATABASE_URL == "embedded" and DEBUG:
    from cartsite.dev.postgres import embedded_url  # what serves the demo and tests is not imported in production

    DATABASE_URL = embedded_url()
check(
    "DATABASE_URL",
    DATABASE_URL.startswith(("postgres://", "postgresql://")),
    "must begin with postgres:// (or, with DEBUG on, be the word embedded)",
)
DATABASES = {"default": parse("DATABASE_URL", env.db_url_config, DATABASE_URL)}
check("DATABASE_URL", bool(DATABASES["default"]["NAME"]), "must name the database")
DATABASES["default"] |= {
    "CONN_MAX_AGE": read(env.int, "CONN_MAX_AGE", default=600),  # a connection per request costs 9/10 of the throughput
    "CONN_HEALTH_CHECKS": True,
}
# A database that cannot be reached is said to be away, rather than waited for.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)  # seconds
# Prepared statements are worth a fifth of the throughput; behind a pooler in transaction mode, switch them off.
if read(env.bool, "DATABASE_PREPARE", default=True):
    DATABASES["default"]["OPTIONS"].update(server_side_binding=True, prepare_threshold=5)

# --- People, sessions, cookies --------------------------------------------------------------------------------------

AUTH_USER_MODEL = "cartsite.User"
AUTHENTICATION_BACKENDS = ["cartsite.signin.NameOrEmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("login")
LOGIN_REDIRECT_URL = reverse_lazy("cart:market")
LOGOUT_REDIRECT_URL = reverse_lazy("cart:market")

# An address is all that an account needs: a code that is mailed to it opens the account, and proves the address.
CODE_LASTS = 10 * 60  # seconds
CODE_TRIES = 3  # 8 digits: at three tries for each code, and three codes in a minute, guessing takes years
# Tries at a secret: (how many, within seconds). At a code, from wherever it is tried; at the password of one account,
# from one network, so that wrong tries from somewhere else keep nobody out.
TRIES = {"code": (CODE_TRIES, CODE_LASTS), "password": (5, 5 * 60), "mailed_code": (5, CODE_LASTS)}
# For so long a sign-in is recent enough to change an address, to erase an account or to move money as staff.
RECENT_SIGN_IN = 60 * read(env.int, "RECENT_SIGN_IN", default=15)  # seconds; the setting is in minutes
check("RECENT_SIGN_IN", 60 <= RECENT_SIGN_IN <= 24 * 60 * 60, "must be a number of minutes, at most a day")
ALLAUTH_USER_CODE_FORMAT = {"numeric": True, "length": 8}
ACCOUNT_ADAPTER = "cartsite.views.adapters.AccountAdapter"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_CHANGE_EMAIL = True  # one address for each account
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_LOGIN_BY_CODE_ENABLED = ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = CODE_LASTS
ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = CODE_LASTS
ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS = ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS = CODE_TRIES
ACCOUNT_PASSWORD_RESET_BY_CODE_MAX_ATTEMPTS = CODE_TRIES
ACCOUNT_RATE_LIMITS = {"login_failed": None}  # the library counts by what was typed: TRIES, by whose account it is
ACCOUNT_FORMS = {
    "signup": "cartsite.signin.SignUpForm",
    "request_login_code": "cartsite.signin.AskForCodeForm",
    "confirm_login_code": "cartsite.signin.CodeForm",
    "confirm_email_verification_code": "cartsite.signin.ConfirmAddressForm",
    "confirm_password_reset_code": "cartsite.signin.CodeForm",
    "add_email": "cartsite.signin.ChangeAddressForm",
    "change_password": "cartsite.signin.ChangePasswordForm",
    "set_password": "cartsite.signin.SetPasswordForm",
    "reset_password": "cartsite.signin.ForgotPasswordForm",
    "reset_password_from_key": "cartsite.signin.NewPasswordForm",
}

# The co-operative's own account service, which speaks OpenID Connect: all four settings, or none.
OIDC_ID = "co-op"  # a part of the address that the service sends people back to
OIDC = {
    "OIDC_NAME": read(env.str, "OIDC_NAME", default=""),
    "OIDC_SERVER_URL": read(env.str, "OIDC_SERVER_URL", default="").rstrip("/"),
    "OIDC_CLIENT_ID": read(env.str, "OIDC_CLIENT_ID", default=""),
    "OIDC_CLIENT_SECRET": read(env.str, "OIDC_CLIENT_SECRET", default=""),
}
for _setting, _value in OIDC.items():
    check(_setting, bool(_value) == any(OIDC.values()), "is missing: single sign-on needs all of its four settings")
OIDC_ORIGIN = origin_of(OIDC["OIDC_SERVER_URL"]) if any(OIDC.values()) else ""
if any(OIDC.values()):
    check(
        "OIDC_SERVER_URL",
        OIDC_ORIGIN.startswith(("https://", "http://")) and not OIDC_ORIGIN.endswith("//"),
        "must be a URL, such as https://accounts.shop.example",
    )
    check("OIDC_SERVER_URL", DEBUG or OIDC_ORIGIN.startswith("https://"), "must begin with https:// in production")
SOCIALACCOUNT_ADAPTER = "cartsite.views.adapters.SignOnAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True  # only by addresses that the service says are confirmed
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_FORMS = {"signup": "cartsite.signin.FirstSignOnForm"}
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": []}}
if OIDC_ORIGIN:
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [
        {
            "provider_id": OIDC_ID,
            "name": OIDC["OIDC_NAME"],
            "client_id": OIDC["OIDC_CLIENT_ID"],
            "secret": OIDC["OIDC_CLIENT_SECRET"],
            "settings": {"server_url": OIDC["OIDC_SERVER_URL"]},
        }
    ]

CACHE_URL = read(env.str, "CACHE_URL", local="locmemcache://")
CACHES = {"default": parse("CACHE_URL", env.cache_url_config, CACHE_URL)}
check(
    "CACHE_URL",
    DEBUG or not CACHES["default"]["BACKEND"].endswith((".DummyCache", ".LocMemCache")),
    "must be a cache that all processes share, such as rediscache://cache.example:6379/1, since limits count in it",
)
if CACHES["default"]["BACKEND"].endswith(".RedisCache"):
    CACHES["default"]["BACKEND"] = "cartsite.caching.SteadyCache"
# In the database alone: a session that was ended while the cache was out of reach would come back with the cache.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
MESSAGE_STORAGE = "cartsite.cookies.PrefixedMessages"  # in a cookie: anonymous shoppers need no session

CART_COOKIE = "cart"
CART_COOKIE_AGE = 60 * 60 * 24 * 30  # seconds
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = COOKIES_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
# Names that no neighbouring host can plant (cartsite/cookies.py). Browsers take the prefix over https only.
if HTTPS:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
CSRF_FAILURE_VIEW = "cartsite.sorry.stale_form"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

# --- Security headers -----------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
YEAR = 60 * 60 * 24 * 365  # seconds
HSTS_SECONDS = read(env.int, "HSTS_SECONDS", default=YEAR)
check("HSTS_SECONDS", HSTS_SECONDS >= 0, "must be a number of seconds, 0 for none")
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = read(env.bool, "HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = read(env.bool, "HSTS_PRELOAD", default=False)
check(
    "HSTS_PRELOAD",
    not SECURE_HSTS_PRELOAD or (SECURE_HSTS_INCLUDE_SUBDOMAINS and HSTS_SECONDS >= YEAR),
    "asks for HSTS_INCLUDE_SUBDOMAINS and a year of HSTS_SECONDS: browsers list no other sites",
)
# These two checks ask for subdomains and preload. Siblings live on neighbouring names, which this shop must not force
# to https unless the co-operative has decided so.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

try:
    TRUSTED_PROXIES = [ipaddress.ip_network(net.strip()) for net in read(env.list, "TRUSTED_PROXIES", default=[])]
except ValueError as error:
    stop("TRUSTED_PROXIES", f"must be addresses or networks ({error})")
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- SumUp ----------------------------------------------------------------------------------------------------------

_sumup = "http://127.0.0.1:8001" if DEBUG else "https://api.sumup.com"  # the simulator's place, or SumUp's
SUMUP_API_URL = read(env.str, "SUMUP_API_URL", default=_sumup).rstrip("/")
SUMUP_ORIGIN = origin_of(SUMUP_API_URL)
check("SUMUP_API_URL", SUMUP_API_URL == SUMUP_ORIGIN, "must be a scheme and a host, such as https://api.sumup.com")
check("SUMUP_API_URL", DEBUG or SUMUP_API_URL.startswith("https://"), "must begin with https:// in production")
# SumUp itself is never on this machine; the simulator is.
SUMUP_IS_SIMULATOR = is_this_machine(urlsplit(SUMUP_API_URL).hostname or "")
# With DEBUG or STAGING on money must not be real; with both off it must be (docs/adr/0015).
SUMUP_MUST_BE_SANDBOX = DEBUG or STAGING
_staging_only = "with DEBUG off, only STAGING=1 allows that"
check("SUMUP_API_URL", SUMUP_MUST_BE_SANDBOX or not SUMUP_IS_SIMULATOR, f"is the simulator's: {_staging_only}")
SUMUP_API_KEY = read(env.str, "SUMUP_API_KEY", local="sup_sk_simulator")
_is_play_key = SUMUP_API_KEY == "sup_sk_simulator" or "sk_test_" in SUMUP_API_KEY
check("SUMUP_API_KEY", SUMUP_MUST_BE_SANDBOX or not _is_play_key, f"takes no real money: {_staging_only}")
_is_live_key = "sk_live_" in SUMUP_API_KEY
check(
    "SUMUP_API_KEY",
    not (SUMUP_MUST_BE_SANDBOX and _is_live_key),
    "takes real money: with DEBUG or STAGING on, use a sandbox's key",
)
# Most keys do not say what they are for, so SumUp is asked as well (payments/account.py).
# Orders are tests where staging or SumUp's sandbox takes them. The demo's are not: it shows the shop as it is.
ORDERS_ARE_TESTS = STAGING or (DEBUG and not SUMUP_IS_SIMULATOR)
SUMUP_MERCHANT_CODE = read(env.str, "SUMUP_MERCHANT_CODE", local="MROSEASH")
SUMUP_TIMEOUT = (5, 20)  # seconds to connect, and for one call in all
SUMUP_PAGE_SECONDS = 8.0  # for all the calls that a shopper's page waits for
# How many calls pages may wait for at once, in each process: the other half of its threads serves everybody else.
SUMUP_PAGE_CALLS = max(1, read(env.int, "WEB_THREADS", default=8) // 2)
CURRENCY = read(env.str, "CURRENCY", default="GBP")
# The currencies with two decimals that SumUp lists (shared contract, section 2.1).
CURRENCIES = ("BGN", "BRL", "CHF", "CZK", "DKK", "EUR", "GBP", "NOK", "PLN", "RON", "SEK", "USD")
check("CURRENCY", CURRENCY in CURRENCIES, f"must be one of {', '.join(CURRENCIES)}")
# What shoppers read on their bank statement, as SumUp's dashboard says; empty: it is not said.
STATEMENT_NAME = read(env.str, "STATEMENT_NAME", default="")
# Where SumUp shows shoppers its own receipt. Its documents name no such address, so there is no default.
SUMUP_RECEIPT_URL = read(env.str, "SUMUP_RECEIPT_URL", default="")
check(
    "SUMUP_RECEIPT_URL",
    not SUMUP_RECEIPT_URL or (SUMUP_RECEIPT_URL.startswith("https://") and "{transaction}" in SUMUP_RECEIPT_URL),
    "must begin with https:// and contain {transaction}",
)

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        # Browsers hold a redirect after a form to this list: paying redirects to SumUp's hosted page, and signing in
        # to the co-operative's account service, if there is one.
        "form-action": [SELF, "https://*.sumup.com", SUMUP_ORIGIN, *filter(None, [OIDC_ORIGIN])],
    }
}

# --- Siblings -------------------------------------------------------------------------------------------------------

# name:token pairs. What a token may do does not depend on the name; the name says who asked, in the log.
INTERNAL_API_TOKENS: dict[str, str] = {}
for pair in read(env.list, "INTERNAL_API_TOKENS", default=[]):
    _name, _colon, _token = pair.strip().partition(":")
    check(
        "INTERNAL_API_TOKENS",
        bool(_name and len(_token) >= 16),
        "must be name:token pairs parted by commas, tokens of 16 characters or more",
    )
    check("INTERNAL_API_TOKENS", _token not in INTERNAL_API_TOKENS.values(), "gives two siblings the same token")
    INTERNAL_API_TOKENS[_name] = _token

# --- Language, time, mail, files ------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
# There is no catalogue yet, so that every lookup would cost something and give nothing.
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "cartsite.formats"
TIME_ZONE = read(env.str, "TIME_ZONE", default="Europe/London")
check("TIME_ZONE", TIME_ZONE in zoneinfo.available_timezones(), f"{TIME_ZONE} is not an IANA time zone")

vars().update(read(env.email_url, "EMAIL_URL", local=env.email_url_config(f"filemail:///{LOCAL_DIR}/mail")))
# In a test shop all mail passes what marks it as a test.
REAL_EMAIL_BACKEND = vars()["EMAIL_BACKEND"]
if ORDERS_ARE_TESTS:
    EMAIL_BACKEND = "cartsite.staging.MarkingBackend"
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = read(env.str, "DEFAULT_FROM_EMAIL", local="Rose Ash <shop@demo.test>")
check("DEFAULT_FROM_EMAIL", "@" in DEFAULT_FROM_EMAIL, "must be an e-mail address, with a name or without")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_SUBJECT_PREFIX = "[Rose Ash] "  # of what ADMINS get
# Who is told of faults and of cases, by mail or by a hook that takes JSON: nobody, unless told here.
ADMINS = [("", address.strip()) for address in read(env.list, "ADMINS", default=[])]
check("ADMINS", all("@" in address for _name, address in ADMINS), "must be e-mail addresses, parted by commas")
ALERT_HOOK_URL = read(env.str, "ALERT_HOOK_URL", default="")
check(
    "ALERT_HOOK_URL",
    not ALERT_HOOK_URL or ALERT_HOOK_URL.startswith(("https://", "http://") if DEBUG else "https://"),
    "must begin with https://",
)

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG and not DEMO
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "filters": {"mask": {"()": "cartsite.logs.MaskSecrets"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["mask"]},
        # In place of Django's own mail to admins, which sends one for each error and holds up the request.
        "alert": {"class": "cartsite.alerts.AlertHandler", "level": "ERROR"},
    },
    "root": {"handlers": ["console", "alert"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["console", "alert"], "level": "INFO", "propagate": False},
        # A sweep that found nothing to do every few seconds is not news.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}

# --- Work done later (Celery) ---------------------------------------------------------------------------------------

CELERY_BROKER_URL = read(env.str, "CELERY_BROKER_URL", local="filesystem://localhost")
check(
    "CELERY_BROKER_URL",
    CELERY_BROKER_URL.partition(":")[0] in TRANSPORT_ALIASES,
    "must begin with redis://, amqp:// or another transport that Celery has",
)
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if CELERY_BROKER_URL.startswith("filesystem:"):
    TRANSPORT_ALIASES["filesystem"] = "cartsite.dev.broker:Transport"
    _queue = LOCAL_DIR / "broker"
    for _folder in ("queue", "control"):
        (_queue / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue / "queue"),
        "data_folder_out": str(_queue / "queue"),
        "control_folder": str(_queue / "control"),
    }
elif CELERY_BROKER_URL.startswith("redis"):
    # To ask for work to be done soon is a hint (see cartsite.celery.soon): with Redis out of reach one quick try is
    # enough, for a shopper waits. Workers and beat come back to it on terms of their own.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "max_retries": 0,
        "socket_connect_timeout": 2,
        "socket_timeout": 5,  # a Redis that hangs is out of reach too; longer than the second that a worker waits in it
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker comes back after an outage of any length
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # every task is safe to run twice, none is safe to lose
CELERY_TASK_TIME_LIMIT = 600  # seconds
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"


def _every(seconds: int, task: str) -> dict[str, Any]:
    """A sweep; one that waited longer than its own interval is dropped, since the next is already there."""
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 10)}}


CELERY_BEAT_SCHEDULE = {
    "look at payments that are due": _every(5, "payments.tasks.sweep_payments"),
    "send refunds and look for them": _every(5, "payments.tasks.sweep_refunds"),
    "go on with what was called off": _every(5, "payments.tasks.sweep_called_off"),
    "read on in SumUp's history": _every(5 * 60, "payments.tasks.read_history"),
    "send late money back in time": _every(10 * 60, "payments.tasks.decide_late_payments"),
    "close the days that are over": _every(15 * 60, "payments.tasks.close_days"),
    "wake the cases that slept": _every(5 * 60, "cartsite.tasks.wake_cases"),
    "show that timed work arrives": _every(15, "cartsite.tasks.note_beat"),
    "tell of the cases that were opened": _every(60, "cartsite.tasks.tell_of_cases"),
    "delete sessions that are over": _every(6 * 60 * 60, "cartsite.tasks.clear_sessions"),
    "forget what was agreed to": _every(6 * 60 * 60, "cartsite.tasks.forget_agreements"),
    "forget to whom mail went": _every(6 * 60 * 60, "cartsite.tasks.forget_mail_counts"),
    "finish and begin releases": _every(10, "payments.tasks.sweep_releases"),
    "send the mail that is owed": _every(15, "orders.tasks.send_owed_mail"),
    "owe the reminders before entries": _every(10 * 60, "orders.tasks.owe_reminders"),
    "give expired holds back": _every(30, "bookings.tasks.give_expired_back"),
    "offer what came free to those who wait": _every(30, "bookings.tasks.sweep_waiting_lists"),
    "forget who waited long ago": _every(60 * 60, "bookings.tasks.forget_who_waited"),
    "forget what was typed at doors": _every(60 * 60, "bookings.tasks.forget_what_was_typed"),
    "purge abandoned carts": _every(60 * 60, "cart.tasks.purge_abandoned"),
}

# --- The shop's own rules -------------------------------------------------------------------------------------------

# Per address: (how many, within seconds). They keep a bot from taking every place, and never bind a person in a hurry.
LIMITS = {
    "hold": (120, 600),
    # Places that baskets claim, counted one by one: for as long as a place can be held.
    "places": (100, 3600),
    "order": (20, 600),
    "payment": (30, 600),
    "voucher": (60, 600),
    "signin": (20, 600),
    "export": (20, 600),
    "link": (10, 600),
    "waiting": (20, 600),
}
LIMITS_SPARE_LOOPBACK = DEMO
# How many places of one entry a network (an IPv4 address, an IPv6 /64) may hold at a time without having paid: a share
# of all its places, but always so many. An IPv6 /48 may hold half as much again, but always twice as many.
UNPAID_PERCENT = read(env.int, "UNPAID_PERCENT", default=50)
check("UNPAID_PERCENT", 1 <= UNPAID_PERCENT <= 100, "must be a number from 1 to 100, which sets no limit")
UNPAID_ALWAYS = read(env.int, "UNPAID_ALWAYS", default=10)
check("UNPAID_ALWAYS", UNPAID_ALWAYS >= 1, "must be a number of places, at least 1")
# How much of the mail that anybody can ask for (codes, links) goes to one address in a day, whoever asks.
MAIL_ON_REQUEST_A_DAY = 10
# Which wording of the terms (templates/orders/terms.html) shoppers accept: change it with every change of the text.
TERMS_VERSION = "2026-11"
# How long before a booked entry its shopper is reminded of it.
REMIND_BEFORE = read(env.int, "REMIND_BEFORE", default=24)  # hours
check("REMIND_BEFORE", 0 < REMIND_BEFORE <= 24 * 14, "must be a number of hours, at most 14 days")

UNFOLD = {
    "SITE_TITLE": _("Rose Ash back office"),
    "SITE_HEADER": _("Rose Ash"),
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_SYMBOL": "local_florist",
    "DASHBOARD_CALLBACK": "payments.desk.overview.fill",
    "COLORS": {
        "primary": {
            "50": "#fbf3f4",
            "100": "#f6e4e6",
            "200": "#edcbd0",
            "300": "#dfa5ad",
            "400": "#cb7784",
            "500": "#b35062",
            "600": "#8f2f42",
            "700": "#78283a",
            "800": "#652535",
            "900": "#572331",
            "950": "#300f18",
        }
    },
}

# The demo has all the local defaults above, but what goes wrong is said there as it would be to a shopper.
DEBUG = DEBUG and not DEMO
