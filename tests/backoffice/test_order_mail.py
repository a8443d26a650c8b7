"""An order's mail in the back office: what was sent, and what each kind would say, without sending anything."""

from collections.abc import Callable

import pytest
from django.test import Client

from cartsite.models import Message
from orders import letters, mail, services
from orders.models import Order, OrderContact
from payments.models import Refund
from tests.backoffice.desk import page_of, text_of
from tests.orders.acts import all_rows

pytestmark = pytest.mark.django_db(transaction=True)


def mail_page(order: Order, kind: str = "") -> str:
    return f"/admin/orders/order/{order.pk}/mail/" + (f"?kind={kind}" if kind else "")


def test_the_order_lists_its_mail(staff_client: Client, sold: Order) -> None:
    mail.send_owed()
    services.owe_mail(sold, "link")
    Message.objects.filter(kind="link").update(last_error="SMTPServerDisconnected")

    for page in (page_of(sold), mail_page(sold)):
        shown = text_of(staff_client.get(page))
        assert "Confirmation Sent" in shown
        assert "The link again Owed" in shown
        assert "SMTPServerDisconnected" in shown


def test_a_mail_of_a_kind_that_is_gone_is_listed_as_it_is(staff_client: Client, sold: Order) -> None:
    services.owe_mail(sold, "greeting")

    assert "greeting Owed" in text_of(staff_client.get(mail_page(sold)))


def test_every_kind_is_offered_or_says_why_not(staff_client: Client, sold: Order) -> None:
    previews = staff_client.get(mail_page(sold)).context["previews"]

    assert [each.kind for each in previews] == list(letters.KINDS)
    assert {each.kind: each.why_not for each in previews} == {
        "confirmation": "",
        "payment_problem": "The order does not wait for a payment.",
        "expired": "The order has not expired.",
        "cancelled": "Nothing of the order is cancelled.",
        "refund": "No money of the order went back.",
        "late_payment": "No payment of the order came late.",
        "reminder": "",
        "link": "",
        "moved": "No such thing happened to the order.",
        "rescheduled": "No such thing happened to the order.",
    }


def test_an_unpaid_order_offers_what_fits_it(staff_client: Client, order: Order) -> None:
    previews = staff_client.get(mail_page(order)).context["previews"]

    assert [each.kind for each in previews if not each.why_not] == ["payment_problem", "link"]


@pytest.mark.parametrize("kind", ["confirmation", "reminder", "link"])
def test_a_preview_shows_the_mail_as_text_and_as_html(staff_client: Client, sold: Order, kind: str) -> None:
    answer = staff_client.get(mail_page(sold, kind))

    chosen = answer.context["chosen"]
    page = answer.content.decode()
    assert chosen.kind == kind
    assert "Dear Ada Shopper" in chosen.text
    assert "Dear Ada Shopper" in chosen.html
    assert '<iframe sandbox srcdoc="' in page
    assert "&lt;!doctype html&gt;" in page
    assert chosen.text.splitlines()[0] in page


def test_the_calendar_file_is_shown_too(staff_client: Client, sold: Order) -> None:
    answer = staff_client.get(mail_page(sold, "confirmation"))

    ((name, content),) = answer.context["chosen"].files
    assert name == f"{sold.number}.ics"
    assert content.startswith("BEGIN:VCALENDAR")
    assert "BEGIN:VCALENDAR" in answer.content.decode()


def test_looking_sends_owes_and_writes_nothing(
    staff_client: Client, sold: Order, mailoutbox: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_rows()

    for kind in letters.KINDS:
        assert staff_client.get(mail_page(sold, kind)).status_code == 200

    assert all_rows() == before
    assert mailoutbox == []


def test_the_secret_link_is_not_shown(staff_client: Client, sold: Order) -> None:
    for kind in letters.KINDS:
        assert sold.key not in staff_client.get(mail_page(sold, kind)).content.decode()


def test_a_refund_that_happened_can_be_previewed(staff_client: Client, sold: Order) -> None:
    refund = Refund.objects.create(
        order=sold, payment=sold.payments.get(), amount=12, currency="GBP", reason="Why.", done_at=sold.placed_at
    )
    previews = {each.kind: each for each in staff_client.get(mail_page(sold)).context["previews"]}
    assert previews["refund"].why_not == "No money of the order went back."

    Refund.objects.filter(pk=refund.pk).update(status="done")
    shown = staff_client.get(mail_page(sold, "refund")).context["chosen"]
    Refund.objects.filter(pk=refund.pk).update(status="requested")  # so that the books balance

    assert "£12.00 of what you paid" in shown.text


def test_what_a_shopper_typed_stays_inside_the_frame(staff_client: Client, sold: Order) -> None:
    OrderContact.objects.update(name='"><script>alert(1)</script>')

    page = staff_client.get(mail_page(sold, "link")).content.decode()

    assert "<script>alert(1)" not in page
    assert '""><' not in page


def test_an_order_of_somebody_who_was_erased_has_no_previews(staff_client: Client, sold: Order) -> None:
    OrderContact.objects.all().delete()

    previews = staff_client.get(mail_page(sold)).context["previews"]

    assert {each.why_not for each in previews if each.kind in ("confirmation", "link")} == {
        "Whom it was for has been erased."
    }


def test_a_broken_template_leaves_the_others_to_look_at(
    staff_client: Client, sold: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = letters.render_to_string

    def broken(template: str, context: dict[str, object]) -> str:
        if "link" in template:
            raise RuntimeError("a broken template")
        return render(template, context)

    monkeypatch.setattr(letters, "render_to_string", broken)

    previews = {each.kind: each.why_not for each in staff_client.get(mail_page(sold)).context["previews"]}

    assert previews["link"] == "It cannot be composed: RuntimeError."
    assert previews["confirmation"] == ""


def test_whoever_may_not_read_orders_sees_no_mail(hire: Callable[..., Client], sold: Order) -> None:
    assert hire("cartsite.view_message").get(mail_page(sold)).status_code == 403


def test_an_order_that_is_not_there_has_no_mail(staff_client: Client, sold: Order) -> None:
    assert staff_client.get(mail_page(sold).replace(str(sold.pk), "0")).status_code == 404
