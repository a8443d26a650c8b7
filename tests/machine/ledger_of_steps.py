"""Every change of a status, as the database itself saw it: even one that the same transaction changed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.db import connection

WATCHED = (
    "orders_order",
    "payments_payment",
    "payments_refund",
    "payments_dailyclose",
    "bookings_booking",
    "bookings_waiter",
    "cartsite_case",
    "cartsite_message",
)
DEFINE = """
CREATE TABLE machine_step (
    id bigserial PRIMARY KEY, thing text NOT NULL, kind text NOT NULL, was text NOT NULL, became text NOT NULL,
    row_id bigint NOT NULL, closer text NOT NULL
);
CREATE FUNCTION machine_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE was text := '-';
BEGIN
    IF TG_OP = 'UPDATE' THEN was := OLD.status; END IF;
    IF was <> NEW.status THEN
        INSERT INTO machine_step (thing, kind, was, became, row_id, closer)
        VALUES (split_part(TG_TABLE_NAME, '_', 2), coalesce(to_jsonb(NEW)->>'kind', ''), was, NEW.status, NEW.id,
                coalesce(to_jsonb(OLD)->>'closing_by', ''));
    END IF;
    RETURN NULL;
END $$
"""
TRIGGER = "CREATE TRIGGER machine_note AFTER INSERT OR UPDATE ON {0} FOR EACH ROW EXECUTE FUNCTION machine_note()"


class Step(NamedTuple):
    """One row's change of status; `was` is - where the row is new."""

    thing: str  # order, payment, refund, ...
    kind: str  # of a case or a message
    was: str
    became: str
    row_id: int
    closer: str  # who was letting the order go just before

    @property
    def name(self) -> str:
        return f"{self.thing}{f' {self.kind}' if self.kind else ''}: {self.was} -> {self.became}"


@contextmanager
def kept() -> Iterator[None]:
    """Have the database write down every step for as long as the context lasts."""
    with connection.cursor() as cursor:
        _drop(cursor)
        cursor.execute(DEFINE)
        for table in WATCHED:
            cursor.execute(TRIGGER.format(table))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            _drop(cursor)


def _drop(cursor: object) -> None:
    run = cursor.execute  # type: ignore[attr-defined]
    run("DROP FUNCTION IF EXISTS machine_note() CASCADE")
    run("DROP TABLE IF EXISTS machine_step")


def take() -> list[Step]:
    """The steps since this was last asked, in their order."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM machine_step RETURNING id, thing, kind, was, became, row_id, closer")
        return [Step(*row[1:]) for row in sorted(cursor.fetchall())]


def count() -> int:
    """How many steps there were since they were last taken."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM machine_step")
        return int(cursor.fetchone()[0])
