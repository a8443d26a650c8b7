"""What staff do at the desk, in few words."""

import re
from collections.abc import Sequence
from decimal import Decimal
from html import unescape
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cartsite.models import Case
from orders.models import Order
from payments.models import Payment, Refund

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def money_page(order: Order) -> str:
    return reverse("admin:orders_order_money", args=[order.pk])


def text_of(answer: HttpResponse) -> str:
    """What a person reads on a page, in one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def said(answer: Any) -> list[str]:
    """The messages that staff read next."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


def logged(row: Model) -> list[str]:
    """What was written down about a row, oldest first."""
    entries = LogEntry.objects.filter(object_id=str(row.pk), content_type__model=row._meta.model_name)
    return list(entries.order_by("pk").values_list("change_message", flat=True))


def ask_way(client: Client, order: Order, way: str, **typed: object) -> HttpResponse:
    """The first half: type a way's form in, and read what it comes to."""
    posted = {"way": way} | {f"{way}-{name}": value for name, value in ({"reason": "A test."} | typed).items()}
    return client.post(money_page(order), posted)


def say_yes(client: Client, order: Order, page: HttpResponse) -> HttpResponse:
    """The second half: press the button on the page that asks once more."""
    shown = page.content.decode()
    return client.post(money_page(order), {name: unescape(value) for name, value in HIDDEN.findall(shown)})


def take_way(client: Client, order: Order, way: str, **typed: object) -> HttpResponse:
    """Both halves."""
    answer = say_yes(client, order, ask_way(client, order, way, **typed))
    assert answer.status_code == 302, text_of(answer)
    return answer


def ask(client: Client, rows: Model | Sequence[Model], action: str) -> Any:
    """The first half of an action of a list: choose rows and run it."""
    chosen = [rows] if isinstance(rows, Model) else rows
    return client.post(list_of(type(chosen[0])), {"action": action, "_selected_action": [row.pk for row in chosen]})


def agree(client: Client, page: Any, **typed: str) -> Any:
    """The second half: press the button on the page that asks once more, with what was typed there."""
    posted: dict[str, list[str]] = {}
    for name, value in HIDDEN.findall(page.content.decode()):
        posted.setdefault(name, []).append(unescape(value))
    return client.post(page.wsgi_request.get_full_path(), posted | typed)


def act(client: Client, rows: Model | Sequence[Model], action: str, **typed: str) -> Any:
    """An action of a list with some rows, on both its pages if it asks once more."""
    answer = ask(client, rows, action)
    asks = answer.status_code == 200 and 'name="confirmed"' in answer.content.decode()
    return agree(client, answer, **typed) if asks else answer


def ask_step(client: Client, case: Case, step: str, **typed: object) -> HttpResponse:
    """The first half of a step on a case's page: type its form in."""
    return client.post(page_of(case), {"step": step} | {f"{step}-{name}": value for name, value in typed.items()})


def take_step(client: Client, case: Case, step: str, **typed: object) -> Any:
    """A step on a case's page, on both its pages if it is asked about once more."""
    answer = ask_step(client, case, step, **typed)
    asks = answer.status_code == 200 and 'name="agreed"' in answer.content.decode()
    return agree(client, answer) if asks else answer


def wish_for(payment: Payment, amount: str = "10.00", **more: Any) -> Refund:
    """A refund that was asked for, as it stands."""
    return Refund.objects.create(
        order=payment.order,
        payment=payment,
        transaction_id=payment.movements.get(kind="capture").transaction_id,
        amount=Decimal(amount),
        currency="GBP",
        reason="A test.",
        **more,
    )


def count_queries(client: Client, path: str) -> int:
    """How many statements a page takes, once everything is warm."""
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)
