"""The stage of the machine: one shop on a real database, one SumUp behind a wire, one clock for both.

Everything commits, as it does in production; between two histories all tables are emptied.
"""

import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from django.utils.module_loading import import_string
from time_machine import Traveller, travel

from bookings import capacity
from bookings.models import Entry, Pool, PriceKind
from cart.models import Product, Stall
from cartsite.models import User
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from payments import history, sumup
from payments.simulator import Merchant, Simulator
from payments.simulator.behaviour import CHOICES
from tests.factories import (
    CalendarFactory,
    CollectionSlotFactory,
    DeliveryZoneFactory,
    EntryFactory,
    ProductFactory,
    StallFactory,
    UserFactory,
    VoucherFactory,
)
from tests.machine import ledger_of_steps
from tests.machine.relay import Relay

START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
SIBLING = "the-market-of-the-machine"  # a sibling service's token


TEN, TWENTY = {"tax_rate": Decimal("10.00")}, {"tax_rate": Decimal("20.00")}
# Until when places may be called off by whoever bought them, and what of their price is kept: odd, so that pennies are.
RULE = {"cancel_hours": 24, "move_hours": 24, "kept_percent": Decimal("12.50"), "offer_hours": 6}
BREADS = (4, 7, 8, 9, 10, 12, 13)  # which of the things are places at the same workshop, at some price
AWAY = "The baker is away."  # why something is called off by those who put it on


class BrokenAtTimes(EmailBackend):
    """A mail server that says yes, until it is broken."""

    is_broken = False

    def send_messages(self, messages: Any) -> int:
        if self.is_broken:
            raise OSError("The mail server is broken.")
        return super().send_messages(messages)


class Complaints(logging.Handler):
    """Sweeps log what they do not expect, and go on: here that is a failure. (Mail is broken on purpose.)"""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(logging.Formatter().format(record))


class World:
    """The shop, its SumUp and their clock, with all that was asked to be done soon."""

    def __init__(self, clock: Traveller) -> None:
        self.clock = clock
        merchant = Merchant("MROSEASH", "sup_sk_simulator", "GBP")
        self.simulator = Simulator(merchant=merchant, post=self.deliver, threads=0)
        self.relay = Relay(self.simulator)
        self.felt: Counter[str] = Counter()  # how often SumUp misbehaved in which way, since somebody looked
        self._note_misbehaviour()
        self.complaints = Complaints()
        self.soon: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.is_up = True  # whether the shop answers webhooks
        self.calls_inside_transactions: list[str] = []
        self.chance = random.Random(0)

    def reset(self) -> None:
        """An empty world at the same moment as ever, and a shop with little of everything."""
        self.clock.move_to(START, tick=False)
        self.chance.seed(0)
        self.simulator.reset()
        self.relay.forget()
        self.complaints.heard.clear()
        self.calls_inside_transactions.clear()
        self.soon.clear()
        self.is_up, BrokenAtTimes.is_broken = True, False
        mail.outbox.clear()
        empty_all_tables()
        self._stock_the_shop()
        self._make_offers()
        self._invite_people()
        history.sweep()  # as on the shop's first day: from now on all of SumUp's history is read, if late

    def _stock_the_shop(self) -> None:
        """Few of each thing, so that they run out; at three tax rates, and one for nothing."""
        self.stalls = [Stall.objects.house(), *(StallFactory.create(name=name, slug=name) for name in ("bees", "oven"))]
        bees, oven = self.stalls[1:]
        self.products: list[Product] = [
            ProductFactory.create(sku="HONEY", title="Honey", stall=bees, price=Decimal("6.50"), stock=4),
            ProductFactory.create(
                sku="CANDLE", title="Candle", stall=bees, price=Decimal("3.33"), stock=None, **TWENTY
            ),
            ProductFactory.create(sku="LEAFLET", title="Leaflet", stall=oven, price=Decimal("0.00"), stock=3),
            ProductFactory.create(sku="MUG", title="Mug", stall=oven, price=Decimal("11.00"), stock=2, **TEN),
        ]
        self._plan_days(oven)

    def _plan_days(self, stall: Stall) -> None:
        """Some of it on several days, at the same price, for less and for more, of which two share their places."""
        calendar = CalendarFactory.create(name="Bakehouse", slug="bakehouse", stall=stall, **RULE)
        shared, now = capacity.new_pool("Bread and supper", 3), datetime.now(UTC)
        days: list[tuple[str, Pool | None, int, str, dict[str, str]]] = [
            ("Bread", shared, 20, "35.00", {"Child": "20.00"}),
            ("Supper", shared, 25, "12.50", {}),
            ("Talk", None, 2, "8.00", {"Member": "0.00"}),
            ("Bread", None, 22, "35.00", {"Child": "15.01"}),
            ("Bread", None, 24, "29.99", {}),
            ("Bread", shared, 26, "41.50", {"Child": "25.00"}),
        ]
        self.entries: list[Entry] = []
        self.kinds: list[PriceKind] = []
        for title, pool, ahead, price, kinds in days:
            entry = EntryFactory.create(
                calendar=calendar,
                title=title,
                pool=pool or capacity.new_pool(f"{title} in {ahead} days", 2),
                price=Decimal(price),
                starts_at=now + timedelta(days=ahead),
                **TWENTY,
            )
            self.entries.append(entry)
            self.kinds += [
                PriceKind.objects.create(entry=entry, name=name, price=Decimal(less)) for name, less in kinds.items()
            ]

    def _make_offers(self) -> None:
        """Windows and vouchers with room for two orders each, and some without end."""
        bees, oven = self.stalls[1:]
        now = datetime.now(UTC)
        self.slots: dict[str, CollectionSlot] = {
            "market": CollectionSlotFactory.create(name="Market", orders=2, starts_at=now + timedelta(days=5)),
            "bees": CollectionSlotFactory.create(name="Bees", stall=bees, starts_at=now + timedelta(days=9)),
        }
        self.zone: DeliveryZone = DeliveryZoneFactory.create(name="Bristol")
        self.vouchers: dict[str, Voucher] = {
            "FRIENDS": VoucherFactory.create(code="FRIENDS", value=Decimal("15.00"), uses=2),
            "OVEN": VoucherFactory.create(code="OVEN", kind="fixed", value=Decimal("7.77"), stall=oven),
            "GIFT": VoucherFactory.create(code="GIFT", kind="fixed", value=Decimal("20.00"), uses=1),
        }

    def _invite_people(self) -> None:
        self.people: list[User] = [UserFactory.create(username="ada"), UserFactory.create(username="bob")]
        self.staff: User = UserFactory.create(username="sam", is_staff=True, is_superuser=True)
        self.porter: User = UserFactory.create(username="pat", is_staff=True)

    def _note_misbehaviour(self) -> None:
        behaviour = self.simulator.behaviour

        def noting(look: Callable[[str], str]) -> Callable[[str], str]:
            def noted(name: str) -> str:
                choice = look(name)
                if choice != CHOICES[name][0]:
                    self.felt[f"{name} = {choice}"] += 1
                return choice

            return noted

        behaviour.take = noting(behaviour.take)  # type: ignore[method-assign, assignment]
        behaviour.choice = noting(behaviour.choice)  # type: ignore[method-assign, assignment]

    @property
    def things(self) -> list[tuple[Product | Entry, PriceKind | None]]:
        """All that can be bought, with the price kind if it has one."""
        own_price: list[Product | Entry] = [*self.products, *self.entries]
        return [*((thing, None) for thing in own_price), *((kind.entry, kind) for kind in self.kinds if kind.entry)]

    def wait(self, how_long: timedelta) -> None:
        """Let time pass, here and at SumUp."""
        self.clock.shift(how_long)
        self.simulator.tick()

    def deliver(self, url: str, body: bytes) -> int:
        """SumUp's webhook reaches the shop, if the shop is up."""
        if not self.is_up:
            return 503
        answer = Client().post(urlsplit(url).path, body, content_type="application/json")
        return int(answer.status_code)

    def ask_soon(self, apply_async: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """What the shop wants done soon waits for a worker, who may never come."""
        by_name = isinstance(apply_async, partial)
        task = import_string(apply_async.args[0]) if by_name else apply_async.__self__  # type: ignore[attr-defined]
        self.soon.append((task, args))

    def work(self) -> None:
        """A worker does all that was asked for."""
        while self.soon:
            task, args = self.soon.popleft()
            task(*args)


def empty_all_tables() -> None:
    """Forget everything, with all numbers starting at 1 again."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(_tables())} RESTART IDENTITY CASCADE")


def _tables() -> list[str]:
    kept = ("django_migrations", "django_content_type", "auth_permission")
    return [name for name in connection.introspection.django_table_names(only_existing=True) if name not in kept]


@contextmanager
def open_world(settings: Any) -> Iterator[World]:
    """A world to play in, for as long as the context lasts. Call it with a database that commits."""
    with travel(START, tick=False) as clock:
        world = World(clock)
        settings.EMAIL_BACKEND = f"{__name__}.BrokenAtTimes"
        mail.outbox = []  # type: ignore[attr-defined]
        with (
            world.relay,
            ledger_of_steps.kept(),
            _listening_to(world.complaints),
            mock.patch("cartsite.celery._send", world.ask_soon),
            mock.patch("os.urandom", world.chance.randbytes),
            mock.patch.object(sumup._session, "request", _watched(world)),
        ):
            settings.SUMUP_API_URL = settings.SUMUP_ORIGIN = world.relay.url
            settings.INTERNAL_API_TOKENS = {"market": SIBLING}
            yield world
            empty_all_tables()


@contextmanager
def _listening_to(complaints: Complaints) -> Iterator[None]:
    root, quiet = logging.getLogger(), [logging.getLogger(name) for name in ("payments", "orders.mail")]
    root.addHandler(complaints)
    for logger, level in zip(quiet, (logging.ERROR, logging.CRITICAL), strict=True):
        logger.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(complaints)
        for logger in quiet:
            logger.setLevel(logging.NOTSET)


def _watched(world: World) -> Callable[..., Any]:
    """No HTTP call inside a database transaction (invariant 11): whoever makes one is written down."""
    ask = sumup._session.request

    def request(method: str, url: str, **kwargs: Any) -> Any:
        if connection.in_atomic_block:
            world.calls_inside_transactions.append(f"{method} {url}")
        return ask(method, url, **kwargs)

    return request
