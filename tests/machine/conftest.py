"""More of the cast: the clock and the wire of the tests about payments."""

from tests.payments.conftest import later, wire

__all__ = ["later", "wire"]
