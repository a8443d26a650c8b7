"""What a person does to get into their account, and what lies in their mailbox."""

import re
from typing import Any

from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from cartsite.models import User
from cartsite.reauthentication import SESSION_KEY


def code_in_mail() -> str:
    """The code in the newest mail."""
    return re.findall(r"^\d{4}-\d{4}$", mail.outbox[-1].body, re.MULTILINE)[0]


def another_code(code: str) -> str:
    """A code as long as this one that is not it."""
    return code.translate(str.maketrans("0123456789", "1234567890"))


def ask_for_code(client: Client, email: str = "ada@example.org", **fields: str) -> Any:
    return client.post("/account/code/", {"email": email} | fields)


def type_code(client: Client, code: str, **fields: str) -> Any:
    return client.post("/account/code/confirm/", {"code": code} | fields)


def sign_in_by_code(client: Client, email: str = "ada@example.org", **fields: str) -> Any:
    """Ask for a code, read the mail, type it."""
    ask_for_code(client, email)
    return type_code(client, code_in_mail(), **fields)


def sign_up(client: Client, email: str = "new@example.org", **fields: str) -> Any:
    """Make an account, read the mail, type the code."""
    client.post("/account/sign-up/", {"email": email} | fields)
    return client.post("/account/email/confirm/", {"code": code_in_mail()})


def is_signed_in(client: Client) -> bool:
    """Whether the shop knows who this is; the session alone does not tell."""
    return bool(client.get("/account/").status_code == 200)


def confirm(user: User) -> None:
    """The person's address is confirmed already."""
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)


def leave_open(client: Client, minutes: int = 16) -> None:
    """Let the browser stand open: the sign-in is this old now."""
    session = client.session
    session[SESSION_KEY] -= minutes * 60
    session.save()
