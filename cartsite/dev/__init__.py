"""What starts the shop on one's own machine: a PostgreSQL of our own, and the demo. Production uses none of it."""


class StartError(Exception):
    """What a person must know to get on: shown as it is, without a traceback."""
