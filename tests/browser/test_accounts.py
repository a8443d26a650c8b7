"""An account in a real browser: made with a code, opened with a code, with JavaScript and without."""

import pytest
from playwright.sync_api import Page, expect

from cart.models import Product
from cartsite.models import User
from tests.cartsite.accounts import another_code, code_in_mail

pytestmark = pytest.mark.django_db(transaction=True)


def ask_for_code(page: Page) -> None:
    page.get_by_label("E-mail address", exact=True).fill("new@example.org")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("heading", name="Type the code")).to_be_visible()


def type_code(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Go on").click()


def test_a_basket_comes_along_into_a_new_account_and_is_there_again(page: Page, honey: Product) -> None:
    page.goto("/")
    page.get_by_role("button", name="Add").first.click()
    expect(page.locator("#cart-badge")).to_contain_text("1")

    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Make an account").click()
    ask_for_code(page)
    type_code(page, another_code(code_in_mail()))
    expect(page.get_by_text("This is not the code that we sent")).to_be_visible()
    type_code(page, code_in_mail())
    expect(page.locator("#cart-badge")).to_contain_text("1")

    page.get_by_role("link", name="Account").click()
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    expect(page.locator("#cart-badge")).to_contain_text("0")

    page.get_by_role("link", name="Sign in").click()
    ask_for_code(page)
    type_code(page, code_in_mail())
    expect(page.locator("#cart-badge")).to_contain_text("1")


def test_staff_sign_in_with_a_password_on_their_way_to_the_back_office(page: Page, staff: User) -> None:
    page.goto("/admin/")
    page.get_by_label("E-mail address or name").fill("sam")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page).to_have_url("/admin/")
