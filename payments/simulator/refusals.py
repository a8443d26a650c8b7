"""What the simulated SumUp says no to. The text of each says why."""


class Refused(Exception):
    """The simulator will not do this."""


class UnknownCheckout(Refused):
    """There is no such checkout."""


class UnknownTransaction(Refused):
    """There is no such transaction."""


class ForeignMerchant(Refused):
    """The key does not belong to that merchant."""


class DuplicateReference(Refused):
    """The reference was used before."""


class AlreadyProcessed(Refused):
    """It is paid."""


class BeingProcessed(Refused):
    """An attempt to pay it is under way."""


class SessionExpired(Refused):
    """Its time is over, or that of its page."""


class NoChallenge(Refused):
    """Nobody is being asked to approve anything."""


class BadAmount(Refused):
    """Not an amount of money that could move."""


class NotRefundable(Refused):
    """There is nothing to give back, or nothing left of it."""


class AmountRefused(Refused):
    """There is something to give back, but not this much, or not this little."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason
