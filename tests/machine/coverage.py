"""What a run of the machine has seen: every rule, every way SumUp misbehaved, and every step of a status."""

from collections import Counter
from collections.abc import Iterable

from cartsite.models import Case
from payments.simulator.behaviour import CHOICES
from tests.machine.ledger_of_steps import Step

# The tables of DOMAIN.md, section 3. What is not here must not happen; what is here must be seen in a long run.
ORDER = (
    "- awaiting_payment",
    "awaiting_payment confirmed",
    "awaiting_payment expired",
    "awaiting_payment cancelled",
    "expired confirmed",
    "cancelled confirmed",
    "confirmed completed",
    "confirmed cancelled",
    "completed confirmed",  # somebody was let in by mistake
)
PAYMENT = (
    "- created",
    "created open",
    "created unknown",
    "created closed",
    "unknown open",
    "unknown closed",
    "open declined",
    "open closed",
    "declined closed",
    "open captured",
    "declined captured",
    "closed captured",
    "- captured",  # money that a person attached to an order
)
REFUND = (
    "- requested",
    "requested sending",
    "requested failed",  # turned down, or the money went another way
    "sending done",
    "sending failed",
    "sending unknown",
    "unknown done",
    "unknown failed",
    "failed done",
    "- external",
    "- done",  # by hand
)
BOOKING = (
    "- confirmed",
    "confirmed cancelled",
    "confirmed moved",
    "confirmed attended",
    "attended confirmed",
    "confirmed no_show",
    "no_show confirmed",
)
WAITER = (
    "- waiting",
    "- asked",
    "asked waiting",
    "asked left",
    "asked lapsed",
    "waiting offered",
    "waiting left",
    "waiting closed",
    "offered taken",
    "offered passed",
    "offered left",
    "offered closed",
)
MESSAGE = ("- owed", "owed sent", "owed failed", "failed owed", "owed dropped")
CASE = ("- open", "open resolved", "open snoozed", "snoozed open", "snoozed resolved", "snoozed snoozed")
DAILYCLOSE = (
    "- reading",
    "reading comparing",
    "comparing red",
    "comparing early",
    "comparing closed",
    "red reading",
    "early reading",
)
TABLES = {
    "order": ORDER,
    "payment": PAYMENT,
    "refund": REFUND,
    "booking": BOOKING,
    "waiter": WAITER,
    "message": MESSAGE,
    "case": CASE,
    "dailyclose": DAILYCLOSE,
}
# What acts that may well be refused must have come to in a long run.
OUTCOMES = (
    *("undone", "called off, in part", "called off, as a whole", "erased", "erased a guest"),
    *("called off at a moved entry", "moved, same", "moved, cheaper", "moved, dearer", "moved twice"),
    *("a dearer move paid", "a dearer move not paid", "a dearer move paid late", "a dearer move in vain"),
    *("the organiser moved all", "the organiser called all off", "another date taken"),
    *("let in", "let in early", "let in again", "let in by mistake", "missed by mistake", "an offer taken"),
    "paid while staff cancelled it",
)
# May happen, but only by a chance too small to wait for.
RARE = {
    "payment: created captured": "a first POST whose process died, and a staff button before the sweep",
    "payment: unknown captured": "money on a page that was never shown to anybody",
}
# Cannot happen yet.
NOT_YET = {
    "order: - -> confirmed": "an order of nothing is placed and confirmed in one transaction",
}


class Coverage:
    """How often what happened."""

    def __init__(self) -> None:
        self.rules: Counter[str] = Counter()
        self.idle: Counter[str] = Counter()
        self.switches: Counter[str] = Counter()
        self.transitions: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.steps = self.histories = 0

    def note(self, steps: Iterable[Step]) -> list[str]:
        """Count these steps; those that the domain does not know."""
        unknown = []
        for step in steps:
            self.transitions[step.name] += 1
            pair = f"{step.was} {step.became}"
            if pair not in TABLES[step.thing] and f"{step.thing}: {pair}" not in RARE:
                unknown.append(step.name)
        return unknown

    def find_unseen(self) -> list[str]:
        """Switches, transitions, outcomes and kinds of cases that never came up."""
        seen = {f"{name.partition(':')[0].partition(' ')[0]}:{name.partition(':')[2]}" for name in self.transitions}
        wanted = [f"{thing}: {pair.replace(' ', ' -> ')}" for thing, pairs in TABLES.items() for pair in pairs]
        cases = [f"case {kind}: {step}" for kind in Case.Kind.values for step in ("- -> open", "open -> resolved")]
        switches = [f"{name} = {choice}" for name, choices in CHOICES.items() for choice in choices[1:]]
        return [
            *(name for name in wanted if name not in seen and name != "case: snoozed -> snoozed"),
            *(name for name in cases if name not in self.transitions),
            *(name for name in switches if not self.switches[name]),
            *(name for name in OUTCOMES if not self.rules[name]),
        ]

    def __str__(self) -> str:
        parts = [f"{self.steps} steps in {self.histories} histories"]
        for title, counter in (
            ("rules (and how often there was nothing to do)", self.rules),
            ("behaviour of SumUp", self.switches),
            ("transitions", self.transitions),
            ("refusals", self.refusals),
        ):
            parts.append(f"\n{title}:")
            parts += [f"  {count:7d}  {name}{self._idle_of(name, counter)}" for name, count in sorted(counter.items())]
        parts += ["\ncannot happen yet:", *(f"  {name}: {why}" for name, why in NOT_YET.items())]
        return "\n".join([*parts, "\nrare:", *(f"  {name}: {why}" for name, why in RARE.items())])

    def _idle_of(self, name: str, counter: Counter[str]) -> str:
        idle = self.idle[name] if counter is self.rules else 0
        return f" ({idle})" if idle else ""
