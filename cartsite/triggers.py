"""What the database itself refuses, whoever asks: for use in migrations."""

from django.db.migrations import RunSQL

DEFINE = """
CREATE OR REPLACE FUNCTION cartsite_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are kept as they are', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""
UNDEFINE = "DROP FUNCTION cartsite_refuse()"


def _refuse(name: str, operations: str, tables: tuple[str, ...]) -> list[RunSQL]:
    return [
        RunSQL(
            f"CREATE TRIGGER {table}_{name} BEFORE {operations} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION cartsite_refuse()",
            f"DROP TRIGGER {table}_{name} ON {table}",
        )
        for table in tables
    ]


def define_refusal() -> RunSQL:
    """The function that the triggers call; once, before the first of them."""
    return RunSQL(DEFINE, UNDEFINE)


def append_only(*tables: str) -> list[RunSQL]:
    """Rows of these tables are written once: no UPDATE, no DELETE."""
    return _refuse("append_only", "UPDATE OR DELETE", tables)


def never_deleted(*tables: str) -> list[RunSQL]:
    """Rows of these tables may change, but never go."""
    return _refuse("never_deleted", "DELETE", tables)
