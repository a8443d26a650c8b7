"""One purchase in a browser without JavaScript, over https, that looks at what the production settings promise."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import requests

PATIENCE = 60  # seconds, for one answer
EMAIL = "ada@example.org"


class WentWrong(AssertionError):
    """The shop did not do what it promises. The text says what."""


def make_sure(holds: object, otherwise: str) -> None:
    """Raise WentWrong unless it holds."""
    if not holds:
        raise WentWrong(otherwise)


@dataclass
class Form:
    """A form of a page, with what a browser would send if nothing were typed."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(said.get("action", "")))
            self.inside = True
        elif tag == "input" and self.inside and said.get("name"):
            is_choice = said.get("type") in ("radio", "checkbox")
            if not is_choice or "checked" in said:
                self.found[-1].fields[said["name"]] = said.get("value", "on" if is_choice else "")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "form"


def form_of(page: requests.Response, action: str, **holding: str) -> Form:
    """The first form of a page whose address ends like this and that has these fields."""
    forms = _Forms()
    forms.feed(page.text)
    for each in forms.found:
        address = urljoin(page.url, each.action or page.url)
        if address.split("?")[0].endswith(action) and holding.items() <= each.fields.items():
            return Form(address, each.fields)
    raise WentWrong(f"{page.url} ({page.status_code}) has no form for {action}")


class Browser:
    """Somebody who buys one jar of honey."""

    def __init__(self, shop: str, certificate: Path) -> None:
        """Come to a shop at this address; its certificate is one that we trust."""
        self.shop = shop
        self.session = requests.Session()
        self.session.trust_env = False  # neither a proxy of this machine nor its certificates
        self.session.verify = str(certificate)

    def read(self, path: str) -> requests.Response:
        """A page of the shop, or of wherever a whole address leads; it must be there."""
        page = self.session.get(urljoin(self.shop, path), timeout=PATIENCE)
        make_sure(page.status_code == 200, f"{page.url} is {page.status_code}")
        return page

    def send(self, form: Form, **typed: str) -> requests.Response:
        """Send a form as a browser does, and follow where it leads; nothing may go wrong there."""
        headers = {"Referer": form.action, "Origin": "/".join(form.action.split("/")[:3])}
        page = self.session.post(form.action, data=form.fields | typed, headers=headers, timeout=PATIENCE)
        make_sure(page.status_code == 200, f"{form.action} led to {page.status_code} at {page.url}")
        return page

    def see_market(self) -> requests.Response:
        """The market: styled by a file whose name tells its content, with the headers that protect it."""
        page = self.read("/")
        sheet = re.search(r'href="(/static/css/site\.[0-9a-f]{8,}\.css)"', page.text)
        make_sure(sheet, "the market has no style sheet with a hash in its name")
        assert sheet
        css = self.read(sheet[1])
        make_sure(
            len(css.text) > 10_000 and css.headers["Content-Type"].startswith("text/css"), "that is no style sheet"
        )
        make_sure("immutable" in css.headers.get("Cache-Control", ""), "the style sheet is not kept by browsers")
        self._look_at_headers(page)
        return page

    def _look_at_headers(self, page: requests.Response) -> None:
        promised = {
            "Strict-Transport-Security": "max-age=",
            "Content-Security-Policy": "default-src 'none'",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }
        for name, value in promised.items():
            make_sure(value in page.headers.get(name, ""), f"{page.url} has no header {name} with {value}")

    def order(self, market: requests.Response, sku: str) -> requests.Response:
        """Put the product into the basket and place the order: the page of SumUp that this leads to."""
        basket = self.send(form_of(market, "/cart/items/", product=sku), quantity="1")
        checkout = self.read("/checkout/")
        make_sure("Heather honey" in checkout.text, f"the basket was not kept ({basket.url})")
        page = self.send(form_of(checkout, "/checkout/"), name="Ada Shopper", email=EMAIL, terms="on")
        make_sure(not page.url.startswith(self.shop), f"placing the order did not lead to SumUp, but to {page.url}")
        insecure = [cookie.name for cookie in self.session.cookies if not cookie.secure]
        make_sure(not insecure and len(self.session.cookies), f"these cookies are not Secure: {insecure}")
        return page

    def pay(self, page: requests.Response) -> str:
        """Pay on SumUp's page, and come back to the shop; the number of the order."""
        paid = self.send(Form(page.url), outcome="pay")
        back = re.search(r'class="button" href="([^"]+)"', paid.text)
        make_sure(back, "SumUp's page shows no way back to the shop")
        assert back
        page = self.read(back[1].replace("&amp;", "&"))
        number = re.search(r"/orders/([^/]+)/", page.url)
        make_sure(number, f"the way back leads to no order, but to {page.url}")
        assert number
        return number[1]

    def await_confirmation(self, number: str, wait: Callable[[Callable[[], bool], str], None]) -> None:
        """Read the order's page until it says that the order is confirmed."""
        confirmed = 'data-order-status="confirmed"'
        wait(lambda: confirmed in self.read(f"/orders/{number}/").text, f"{number} is not confirmed")
