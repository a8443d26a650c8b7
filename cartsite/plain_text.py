"""Text that strangers type: in one line, and without anything that a mail program would turn into a link.

The shop writes to any address that a visitor names, with the name that they typed. So neither may carry a message of
theirs to somebody else.
"""

import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Marks that turn the direction of all that follows: after a name with one, a page shows its order number backwards.
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# What ends a line, or moves the cursor of whatever shows it. (Zl and Zp are Unicode's own ends of lines.)
CONTROLS = {"Cc", "Zl", "Zp"}
ENDS_OF_LINES_AND_TABS = "\r\n\t"

ONE_LINE = _("Please write this in one line, without line breaks or tabs.")
NO_LINKS = _(
    "Please leave out web and e-mail addresses. If there is none in it, put a space after each full stop: "
    "otherwise mail programs take the words around it for one."
)
NO_CONTROLS = _("There is a character in this that cannot be shown. Please type it again instead of pasting it.")

# What stands before a full stop and is short for something (St.John, Prof.Dr.Smith), an initial, or a number.
SHORT = re.compile(r"dr|fr|hon|mr|mrs|ms|mt|mx|no|nr|prof|rev|sir|sr|st|ste|str|\d+|.", re.IGNORECASE)
# The ends of addresses that are seen most, for Evil.Com is an address and St.John is none.
ENDING = re.compile(
    r"app|biz|br|ca|cc|ch|click|cn|club|co|com|de|dev|edu|es|eu|example|fr|gov|icu|ie|info|io|it|jp|link|live|me|net|"
    r"nl|online|org|pl|ru|shop|site|store|test|tk|top|tv|uk|us|website|xyz",
    re.IGNORECASE,
)
# Each pattern begins where a word does, so that a long text is read once. A word before a stop, the word after it,
# and what begins a path or a port after that.
WORD_AND_STOP = re.compile(r"(?<![^\s.,;:/()])([^\s.,;:/()@]+)\.(?=([^\W\d_]{2,})([/?#]|:\d)?)")
MAILBOX = re.compile(r"(?<![^\s@])[^\s@]+@[^\s@.]+(?:\.[^\s@./?#:]+)+")
OUTRIGHT = re.compile(r"://|\bmailto:|\bwww\d*\.|\b\d{1,3}(?:\.\d{1,3}){3}\b", re.IGNORECASE)


def has_controls(text: str, *, besides: str = "") -> bool:
    """Whether there is a control character in a text, such as a line break, other than those in `besides`."""
    return any(unicodedata.category(letter) in CONTROLS and letter not in besides for letter in text)


def tidy_line(text: str) -> str:
    """The text as it may stand among other text: no turning marks, no long gaps, and `St.John` as `St. John`."""
    return _part_words(re.sub(r"\s{2,}", " ", text.translate(TURNING)).strip())


def _part_words(text: str) -> str:
    """The text with a space after each full stop that ends a word, rather than a part of an address."""
    return WORD_AND_STOP.sub(lambda found: found[0] + (" " if _ends_word(*found.groups()) else ""), text)


def _ends_word(before: str, after: str, path: str | None) -> bool:
    """Whether a full stop between two words ends the first one: after a title or an initial, or before a capital."""
    begins_anew = after[0].isupper() and after[1:].islower() and not ENDING.fullmatch(after)
    is_short = bool(SHORT.fullmatch(before))
    return (begins_anew or is_short) if path is None else (begins_anew and is_short)


def has_link(text: str) -> bool:
    """Whether a mail program may turn a part of the text into a link, to a page or to a mailbox."""
    return bool(MAILBOX.search(_as_read(text))) or has_address_of_page(text)


def has_address_of_page(text: str) -> bool:
    """Whether a part of the text may be read as the address of a page; mailboxes are none."""
    read = _as_read(_part_words(text))
    return bool(OUTRIGHT.search(read) or WORD_AND_STOP.search(MAILBOX.sub("", read)))


def _as_read(text: str) -> str:
    """The text as a browser reads an address: wide letters as narrow ones, and without what is invisible."""
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    narrow = unicodedata.normalize("NFKC", seen)
    return re.sub(r"(?<=[A-Za-z\d])\u3002(?=[A-Za-z])", ".", narrow)


def for_mail(text: str) -> str:
    """A stranger's text for a mail: in one line; nothing at all if it holds control characters or a link.

    Forms refuse such text, but there are rows of before they did.
    """
    return "" if has_controls(text) or has_link(text) else tidy_line(text)


def without_controls(text: str) -> str:
    """The text without control characters and turning marks; its line breaks stay."""
    kept = (letter for letter in text.translate(TURNING) if letter == "\n" or not has_controls(letter))
    return "".join(kept)


def check_note(text: str) -> None:
    """Raise ValidationError for control characters in what staff wrote. Line breaks and tabs may stand in a note."""
    if has_controls(text, besides=ENDS_OF_LINES_AND_TABS):
        raise ValidationError(NO_CONTROLS, code="controls")


def check_line(text: str) -> None:
    """Raise ValidationError for control characters in a line of text, line breaks among them."""
    if found := [letter for letter in text if has_controls(letter)]:
        raise ValidationError(ONE_LINE if "".join(found).isspace() else NO_CONTROLS, code="controls")


class PlainCharField(forms.CharField):
    """A line of text in any script that may be shown among other text, and stand in a mail."""

    def __init__(self, *args: Any, takes_mailboxes: bool = False, **kwargs: Any) -> None:
        """`takes_mailboxes` says that an e-mail address may be in it, which is only right for what no mail says."""
        super().__init__(*args, **kwargs)
        self.has_link = has_address_of_page if takes_mailboxes else has_link

    def to_python(self, value: str | None) -> str | None:
        """The text, tidied. Raises ValidationError if it is more than a line of text."""
        text = super().to_python(value)
        if not text or (self.max_length is not None and len(text) > self.max_length):
            return text  # a validator says that it is too long
        check_line(text)
        if self.has_link(text):
            raise ValidationError(NO_LINKS, code="link")
        return tidy_line(text)
