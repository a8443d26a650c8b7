"""The races of tests/payments/test_races.py, far oftener (RACES=200 times each)."""

import os

from tests.payments.conftest import books_balance, later  # noqa: F401 - part of the cast
from tests.payments.test_races import *  # noqa: F403 - every race there is, with its marks and its cast

TURNS = int(os.environ.get("RACES", "200"))
