"""How many rows the database looks at for what is asked of it, by its own account (EXPLAIN ANALYZE)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

EXPLAINED = ("SELECT", "UPDATE", "DELETE", "WITH")


class Visits:
    """The most rows that one step of a statement looked at, statement by statement."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, str]] = []  # rows, the table and how it was read, the statement

    def over(self, most: int) -> list[str]:
        """The statements that looked at more rows of one table than this, with how they did."""
        return [f"{rows} rows of {how}: {sql}" for rows, how, sql in self.seen if rows > most]

    def note(self, sql: str, plan: dict[str, Any]) -> None:
        for node in _nodes_in(plan):
            if "Relation Name" in node:
                self.seen.append((_visited(node), f"{node['Relation Name']} by {node['Node Type']}", sql))


@contextmanager
def explained() -> Iterator[Visits]:
    """All that is asked meanwhile, explained with its parameters just before it is really run."""
    visits = Visits()

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not many and sql.lstrip("( ").upper().startswith(EXPLAINED):
            visits.note(sql, _explain(execute, sql, params, context))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield visits


def _explain(execute: Callable[..., Any], sql: str, params: Any, context: Any) -> dict[str, Any]:
    """The plan as it went; what it changed is taken back."""
    with transaction.atomic():
        point = transaction.savepoint()
        execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, params, False, context)
        (answer,) = context["cursor"].fetchone()
        transaction.savepoint_rollback(point)
    plans = json.loads(answer) if isinstance(answer, str) else answer
    plan: dict[str, Any] = plans[0]["Plan"]
    return plan


def _nodes_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes_in(part)


def _visited(node: dict[str, Any]) -> int:
    """The rows of a table that a step looked at, kept or not, in all its rounds."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return round(sum(node.get(name, 0) for name in names) * node["Actual Loops"])
