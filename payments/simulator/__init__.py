"""A SumUp that runs here: the same API, a page to pay on, and every accident that can happen on the way.

It is a program of its own. It knows nothing of the shop: what the shop knows of it is an address and a key.

    python -m payments.simulator --port 8801 --store simulator.jsonl

In tests it also runs inside the process:

    simulator = Simulator()
    with serve(simulator) as server:
        requests.post(f"{server.url}/v0.1/checkouts", ...)
        simulator.pay(checkout_id)
"""

from payments.simulator.checkouts import Checkout, CheckoutStatus
from payments.simulator.clock import Clock
from payments.simulator.events import Event, EventType, Statement
from payments.simulator.refusals import Refused
from payments.simulator.server import SimulatorServer, serve
from payments.simulator.transactions import Transaction, TransactionStatus
from payments.simulator.world import Merchant, Simulator

__all__ = [
    "Checkout",
    "CheckoutStatus",
    "Clock",
    "Event",
    "EventType",
    "Merchant",
    "Refused",
    "Simulator",
    "SimulatorServer",
    "Statement",
    "Transaction",
    "TransactionStatus",
    "serve",
]
