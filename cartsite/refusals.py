"""A refusal: something that was asked for was not done, and whoever asked is told why."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _


class Refusal(Exception):
    """Something was not done, and nothing of it has moved.

    `reasons` are sentences for whoever asked; as a text, the refusal is all of them. `field` names the field of their
    form that is wrong, or is empty.
    """

    def __init__(self, *reasons: str | Promise, field: str = "") -> None:
        self.reasons = tuple(str(reason) for reason in reasons)
        self.field = field
        super().__init__(" ".join(self.reasons))


class Conflict(Refusal):
    """What was agreed to does not hold any more, so nothing was done. They must look again.

    `since` is the mark that the page's offer was given, or None where no offer can be read.
    """

    def __init__(self, why: str = "", since: int | None = None) -> None:
        super().__init__(why or _("Something has changed since you looked. Nothing was done; this is how it is now."))
        self.since = since
