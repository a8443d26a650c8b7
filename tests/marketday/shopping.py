"""Shoppers of a market day, each with a browser of their own: over the shop's pages and SumUp's, as people would."""

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import requests
from requests.adapters import HTTPAdapter

PATIENCE = 60  # seconds, for one answer
MOST_TRIES = 3
UNCLEAR = 422
MOODS = ["pay", "pay", "decline first", "leave and come back", "never come back", "change the basket", "go away"]


@dataclass
class Fair:
    """Where it happens, and every status that was ever answered there."""

    shop: str  # the site's address
    entry: int  # primary key
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: requests.Response) -> None:
        """Count an answer and all that led to it."""
        with self.lock:
            for each in [*answer.history, answer]:
                self.answers["shop" if each.url.startswith(self.shop) else "SumUp", each.status_code] += 1

    def note_silence(self) -> None:
        """Count a connection that ended without an answer."""
        with self.lock:
            self.answers["no answer", 0] += 1

    def failures(self) -> dict[tuple[str, int], int]:
        """What should never be answered, and how often it was: faults, and refusals for no reason of the shopper's."""
        fine = {0, 200, 302, 303, 409, 410, 422}
        return {said: count for said, count in self.answers.items() if said[1] not in fine}


class FreshConnections(HTTPAdapter):
    """A connection for each request: a server may close one that is kept open just as we speak."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.poolmanager.clear()
        return super().send(*args, **kwargs)


class Visitor:
    """Somebody who would like one place."""

    def __init__(self, fair: Fair, seed: int) -> None:
        self.fair, self.chance = fair, Random(seed)
        self.mood = self.chance.choice(MOODS)
        self.name = f"Visitor {seed}"
        self.is_after_a_place = True
        self.has_paid = self.has_one_in_basket = False
        self.number = ""  # of their last order
        self.browser = requests.Session()
        self.browser.headers["Connection"] = "close"
        self.browser.mount("http://", FreshConnections())

    # --- What they do

    def come(self) -> None:
        """Their first visit, as they are in the mood for it."""
        if self.chance.random() < 0.1:
            self.read(f"{self.fair.shop}/cart/")
        if not self.take_a_place():
            return  # sold out: perhaps they come again
        if self.mood == "go away":
            self.is_after_a_place = False  # with a place in the basket
            return
        page = self.order()
        if page is None:
            return
        if self.mood in ("pay", "decline first"):
            self.pay(page, decline_first=self.mood == "decline first")
        elif self.mood == "change the basket":
            self.change_basket()
        elif self.mood == "never come back":
            self.is_after_a_place = False

    def come_again(self) -> None:
        """They still want a place: they go on with what they had begun, or try again."""
        page = self.go_on_paying()
        if page is None and (self.has_one_in_basket or self.take_a_place()):
            page = self.order()
        if page is not None:
            self.pay(page)

    def take_a_place(self) -> bool:
        """Put one into the basket; False if there is none to be had."""
        page = self.read(f"{self.fair.shop}/entries/{self.fair.entry}/")
        if "csrfmiddlewaretoken" not in page.text:
            return False
        answer = self.send(f"{self.fair.shop}/cart/items/", page, entry=str(self.fair.entry), quantity="1")
        self.has_one_in_basket = answer.status_code == 200
        return self.has_one_in_basket

    def order(self) -> requests.Response | None:
        """Go to the checkout and place the order: SumUp's page, or nothing if that cannot be."""
        page = self.read(f"{self.fair.shop}/checkout/")
        if not page.url.endswith("/checkout/"):
            return None  # the basket is empty
        typed = {"name": self.name, "email": "visitor@example.org", "terms": "on", **self.tell_who_comes(page.text)}
        answer = self.send(page.url, page, **typed)
        if answer.status_code == UNCLEAR:
            return None  # somebody was faster, or the basket's time was over
        self.has_one_in_basket = False
        self.number = self.find_newest_number(answer)
        return self.go_on_paying() if self.is_at_shop(answer) else answer

    def tell_who_comes(self, page: str) -> dict[str, str]:
        """An answer to each question about whoever takes the place: the first there is, where one is to be chosen."""
        told = dict.fromkeys(re.findall(r'<input[^>]* name="(place-[^"]+)"', page), self.name)
        for name, options in re.findall(r'<select name="(place-[^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
            told[name] = next(iter(re.findall(r'value="([^"]+)"', options)))
        return told

    def go_on_paying(self) -> requests.Response | None:
        """To SumUp's page from that of their order, if it can still be paid."""
        if not self.number:
            return None
        page = self.read(f"{self.fair.shop}/orders/{self.number}/")
        if 'data-order-status="awaiting_payment"' not in page.text:
            return None
        answer = self.send(f"{self.fair.shop}/orders/{self.number}/pay/", page)
        return None if self.is_at_shop(answer) else answer

    def pay(self, page: requests.Response, *, decline_first: bool = False) -> None:
        """Pay on SumUp's page and go back to the shop."""
        for outcome in ["decline", "pay"] if decline_first else ["pay"]:
            page = self.send(page.url, None, outcome=outcome)
        self.has_paid = page.status_code == 200
        self.is_after_a_place = not self.has_paid
        if back := re.search(r'class="button" href="([^"]+)"', page.text):
            self.read(back.group(1).replace("&amp;", "&"))

    def change_basket(self) -> None:
        """Let the order go again: half of them give the place up then, the others order anew."""
        page = self.read(f"{self.fair.shop}/orders/{self.number}/")
        if 'id="change-basket"' not in page.text:
            return
        basket = self.send(f"{self.fair.shop}/orders/{self.number}/change-basket/", page)
        self.number, self.has_one_in_basket = "", True
        self.is_after_a_place = self.chance.random() < 0.5
        if self.is_after_a_place:
            if (sumup := self.order()) is not None:
                self.pay(sumup)
        elif line := re.search(r'action="(/cart/items/\d+/)"', basket.text):
            self.send(self.fair.shop + line.group(1), basket, quantity="0")

    # --- How their browser speaks

    def find_newest_number(self, answer: requests.Response) -> str:
        """The number of the order just placed, which stands on its own page and on SumUp's."""
        return re.findall(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{2}\b", answer.url + answer.text)[0]

    def is_at_shop(self, answer: requests.Response) -> bool:
        return answer.url.startswith(self.fair.shop)

    def read(self, url: str) -> requests.Response:
        return self._ask("GET", url, {})

    def send(self, url: str, page: requests.Response | None, **typed: str) -> requests.Response:
        """Post a form that was on a page, with what is hidden in it."""
        shown = "" if page is None else page.text  # (an answer of 422 would count as False)
        hidden = dict(re.findall(r'name="(csrfmiddlewaretoken|cart|agreed)" value="([^"]+)"', shown))
        return self._ask("POST", url, hidden | typed)

    def _ask(self, method: str, url: str, typed: dict[str, str]) -> requests.Response:
        """One answer. Where none came at all, as from a machine with too much to do, they press the button again."""
        for turn in range(MOST_TRIES):
            try:
                answer = self.browser.request(method, url, data=typed, timeout=PATIENCE)
            except requests.ConnectionError:
                self.fair.note_silence()
                if turn + 1 == MOST_TRIES:
                    raise
            else:
                break
        self.fair.note(answer)
        return answer
