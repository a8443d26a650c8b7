"""The header on the narrowest phones."""

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_header_has_two_rows_at_320_pixels(page: Page, signed_in: bool) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    if signed_in:
        visitor = Client()
        visitor.force_login(UserFactory.create())
        name = settings.SESSION_COOKIE_NAME
        page.goto("/")
        page.context.add_cookies([{"name": name, "value": visitor.cookies[name].value, "url": page.url}])

    page.goto("/")

    assert page.locator("header").evaluate("header => header.offsetHeight") < 120
    assert page.evaluate("document.documentElement.scrollWidth <= 320")
