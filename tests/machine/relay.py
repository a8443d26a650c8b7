"""The wire of the machine: it loses what comes too late, and tells lies about checkouts when told to."""

import json
from collections.abc import Callable
from typing import Any

from payments.simulator.exchange import Answer, Request, answer_json
from tests.payments.wire import Wire

Document = dict[str, Any]


def _in_euros(said: Document) -> Document:
    return said | {"currency": "EUR"}


# What SumUp should never say of a checkout, but the shop must survive.
LIES: dict[str, Callable[[Document], Document]] = {
    "currency": lambda said: _in_euros(said) | {"transactions": [_in_euros(tried) for tried in said["transactions"]]},
    "merchant": lambda said: said | {"merchant_code": "MSOMEBODY"},
    "reference": lambda said: said | {"checkout_reference": "somebody-elses"},
    "no transactions": lambda said: said | {"transactions": []},
    "missing": lambda said: said,
}


class Relay(Wire):
    """Passes everything on to the simulator. An answer that would take long is one that nobody waits for."""

    def forget(self) -> None:
        """An honest wire again, with nothing planned."""
        self.calls.clear()
        self.errors.clear()
        self._before.clear()
        self._after.clear()
        self.refunds_sent = 0
        self.lie, self.lies_left = "", 0
        self.lied_about: set[str] = set()  # checkouts' ids

    def be_honest(self) -> None:
        """From now on, say what SumUp says, and let nothing happen meanwhile."""
        self.tell_lies("", 0)
        self._before.clear()
        self._after.clear()

    def tell_lies(self, lie: str, times: int) -> None:
        """Say this of the next checkouts that are asked for, so many times."""
        self.lie, self.lies_left = lie, times

    def _pass_on(self, request: Request) -> Answer:
        if request.method == "POST" and "refund" in request.path:
            self.refunds_sent += 1
        reply = super()._pass_on(request)
        if reply.delay:
            return Answer(0, lost=True)
        return self._twist(request, reply)

    def _twist(self, request: Request, reply: Answer) -> Answer:
        """A lie in place of the answer, where one checkout was asked for by its id."""
        if not self.lies_left or request.method != "GET" or reply.lost or reply.status != 200:
            return reply
        if not request.path.startswith("/v0.1/checkouts/"):
            return reply
        self.lies_left -= 1
        self.lied_about.add(request.path.rpartition("/")[2])
        if self.lie == "missing":
            return answer_json(404, {"error_code": "NOT_FOUND", "message": "Resource not found"})
        return answer_json(200, LIES[self.lie](json.loads(reply.body)))
