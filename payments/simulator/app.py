"""Which part of the simulator answers what."""

from payments.simulator.api import answer_api
from payments.simulator.driver import answer_driver
from payments.simulator.exchange import Answer, NoSuchMethod, NoSuchPath, Request, Routes, find_handler
from payments.simulator.hosted_page import post_page, show_page
from payments.simulator.levers import post_overview
from payments.simulator.overview import show_overview
from payments.simulator.refusals import UnknownCheckout
from payments.simulator.rendering import answer_message
from payments.simulator.world import Simulator

PAGES: Routes = (
    ("GET", "/", show_overview),
    ("POST", "/", post_overview),
    ("GET", "/pay/*", show_page),
    ("POST", "/pay/*", post_page),
)


def answer(world: Simulator, request: Request) -> Answer:
    """Answer any request."""
    if request.path.startswith("/v"):
        return answer_api(world, request)
    if request.path.startswith("/simulator/"):
        return answer_driver(world, request)
    return _answer_page(world, request)


def _answer_page(world: Simulator, request: Request) -> Answer:
    try:
        handler, parts = find_handler(PAGES, request.method, request.path)
        return handler(world, request, *parts)
    except (NoSuchPath, UnknownCheckout):
        return answer_message(404, "Not found", "There is no such payment page.")
    except NoSuchMethod:
        return answer_message(405, "Not possible", "This page does not work that way.")
