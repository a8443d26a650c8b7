"""Signing in and up: by a code that is mailed or by a password, the forms for it, and who is let in at all."""

from typing import Any, ClassVar

from allauth.account import forms as theirs
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.socialaccount.forms import SignupForm as SignOnForm
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from cartsite.models import User
from cartsite.plain_text import PlainCharField

# The demo's sign-ins are printed in the README, so they must be worth nothing in a real shop: neither the addresses
# nor, whatever became of those, the password.
DEMO_ADDRESSES = ("staff@demo.test", "shopper@demo.test")
DEMO_PASSWORD = "demo"  # noqa: S105


class NameOrEmailBackend(ModelBackend):
    """Django's own password check; the manager finds the person by either, without regard to case."""

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and (settings.DEMO or user.email not in DEMO_ADDRESSES)

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if password == DEMO_PASSWORD and not settings.DEMO:
            return None
        try:
            return super().authenticate(request, username=username, password=password, **kwargs)
        except User.MultipleObjectsReturned:
            return None


def may_sign_in(user: User) -> bool:
    """Whether this person is let in, by whatever way they prove who they are."""
    return NameOrEmailBackend().user_can_authenticate(user)


def opens_by_mail(user: User) -> bool:
    """Whether a code by mail is enough to let this person in.

    Not for the back office: whoever reads somebody's mail must not be able to send the co-operative's money away.
    """
    return may_sign_in(user) and not (user.is_staff or user.is_superuser)


def account_named(typed: str) -> str:
    """What a try to sign in counts for: the account that this name or address finds, however it is written.

    The database finds a name in capitals, or with a dotless i, as well as the name itself.
    """
    try:
        return f"account {User.objects.get_by_natural_key(typed).pk}"
    except (User.DoesNotExist, User.MultipleObjectsReturned):
        return f"nobody's name {typed.lower()}"


def new_username() -> str:
    """A sign-in name for somebody who did not ask for one: it tells nothing about them, and nobody guesses it."""
    return f"shopper-{get_random_string(16).lower()}"


def whom_to_mail(user: User | None, email: str) -> User | None:
    """The person whose code may go to this address; nobody if that would not let them in.

    The address is written down as theirs, not confirmed yet: typing the code will confirm it.
    """
    if user is None or not opens_by_mail(user):
        return None
    cut_loose(user)
    EmailAddress.objects.get_or_create(user=user, email=email.lower())
    return user


def cut_loose(user: User) -> None:
    """Before an account is entered for the first time: whoever connected something to it has not proved the address."""
    if user.last_login is None:
        SocialAccount.objects.filter(user=user).delete()


def find_unfinished(email: str) -> User | None:
    """Somebody who signed up with this address and never typed the code."""
    unfinished = User.objects.filter(email=email, last_login=None, is_active=True, erased_at=None)
    return next((user for user in unfinished if opens_by_mail(user) and not user.has_usable_password()), None)


# --- Forms ------------------------------------------------------------------------------------------------------------


class InOurWords:
    """A form of the library's with labels and help of ours. `words`: the label and the help of each field."""

    words: ClassVar[dict[str, tuple[Any, Any]]] = {}
    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (label, help_text) in self.words.items():
            field = self.fields[name]
            field.label, field.help_text = label, help_text
            field.widget.attrs.pop("placeholder", None)
            if name == "email":
                field.error_messages |= ADDRESS_ERRORS
                field.validators.append(MaxLengthValidator(LONGEST_ADDRESS))


LONGEST_ADDRESS = 254  # the library would cut off the rest, and mail somebody else
ADDRESS_ERRORS = {
    "required": _("Please type your e-mail address."),
    "invalid": _("This is not an e-mail address, such as name@example.org."),
    "max_length": _("This is longer than any e-mail address."),
}
EMAIL = (_("E-mail address"), "")
NEW_PASSWORD = (_("New password"), _("At least 10 characters. A short sentence is easy to remember and hard to guess."))
ONCE_MORE = (_("New password, once more"), "")


class SignInForm(AuthenticationForm):
    """Django's own, with words that fit: names and addresses are found in any case, and tries are counted."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("We know nobody by this name or address with this password."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address or name")
        self.fields["username"].widget.attrs.pop("autofocus", None)  # the code comes first on the page

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password:
            self.user_cache = get_adapter().authenticate(self.request, username=username, password=password)
            if self.user_cache is None:
                raise self.get_invalid_login_error()
        return self.cleaned_data


class AskForCodeForm(InOurWords, theirs.RequestLoginCodeForm):
    """Where the code to sign in with is sent."""

    words = {"email": EMAIL}
    _user: User | None

    def clean_email(self) -> str:
        email = str(super().clean_email())
        self._user = whom_to_mail(self._user, email)
        return email


class OurCode(InOurWords):
    """The code from a mail, as a phone likes to fill it in."""

    words = {"code": (_("Code"), _("The 8 digits from the mail."))}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs |= {"inputmode": "numeric", "maxlength": "40"}
        self.fields["code"].error_messages["required"] = _("Please type the code from the mail.")


class CodeForm(OurCode, theirs.BaseConfirmCodeForm):
    """The code that was sent."""


class PasswordAgainForm(InOurWords, theirs.ReauthenticateForm):
    """The password of somebody who is signed in already."""

    words = {"password": (_("Your password"), "")}


class ConfirmAddressForm(OurCode, theirs.ConfirmEmailVerificationCodeForm):
    """The code that proves an address."""


class SignUpForm(InOurWords, theirs.SignupForm):
    """A new account: its address is all it takes."""

    words = {"email": EMAIL}

    def save(self, request: HttpRequest) -> User:
        with transaction.atomic():
            user: User = super().save(request)
        return user

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """The new account, or an answer that does not tell that the address has one already."""
        if unfinished := find_unfinished(self.cleaned_data["email"]):
            return whom_to_mail(unfinished, unfinished.email), None  # they get another code
        try:
            user, response = super().try_save(request)
        except IntegrityError:  # somebody was quicker with the same address
            self.account_already_exists = True
            user, response = super().try_save(request)
        return user, response


class FirstSignOnForm(InOurWords, SignOnForm):
    """The address of somebody whom the account service lets in without telling it."""

    words = {"email": EMAIL}


class ChangeAddressForm(InOurWords, theirs.AddEmailForm):
    """The address to change to."""

    words = {"email": (_("New e-mail address"), _("We send a code there, to be sure that it is yours."))}


class ForgotPasswordForm(InOurWords, theirs.ResetPasswordForm):
    """Whose password was forgotten."""

    words = {"email": EMAIL}
    users: list[User]

    def clean_email(self) -> str:
        email = str(super().clean_email())
        self.users = [user for user in self.users if whom_to_mail(user, email)]
        return email


class ChangePasswordForm(InOurWords, theirs.ChangePasswordForm):
    """The old password, and the new one twice."""

    words = {"oldpassword": (_("Your password now"), ""), "password1": NEW_PASSWORD, "password2": ONCE_MORE}


class SetPasswordForm(InOurWords, theirs.SetPasswordForm):
    """The first password of somebody who has none."""

    words = {"password1": NEW_PASSWORD, "password2": ONCE_MORE}


class NewPasswordForm(InOurWords, theirs.ResetPasswordKeyForm):
    """The password that takes the place of a forgotten one."""

    words = {"password1": NEW_PASSWORD, "password2": ONCE_MORE}


class NameForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person is called."""

    class Meta:
        model = User
        fields = ["name"]
        field_classes = {"name": PlainCharField}
        labels = {"name": _("Your name")}
        help_texts = {"name": _("It is filled in for you when you order. You may leave it empty.")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}
