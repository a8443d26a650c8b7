"""Emptying the database between tests that commit: ten times as quick as Django's flush, which truncates every table
and then makes all permissions anew."""

from django.db import connection, transaction

# What migrations fill, and nothing else does.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}
# From here on it is quicker to truncate a table than to delete its rows.
MANY = 1000
# Which of these tables have triggers of ours.
GUARDED = (
    "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY(%s::regclass[])"
)


@transaction.atomic
def empty_tables() -> None:
    """Delete all rows but what migrations have made. Numbers go on from where they were.

    The triggers that refuse it rest meanwhile, which only the owner of a table can ask for: in production these are
    people who migrate, and no request ever does. Foreign keys are looked at once, when all rows have gone.
    """
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if name not in KEPT]
        count = "(SELECT '{0}', count(*) FROM (SELECT FROM {0} LIMIT {1}) AS rows)"
        cursor.execute(" UNION ALL ".join(count.format(name, MANY) for name in tables))
        counts = dict(cursor.fetchall())
        if long := [name for name, found in counts.items() if found == MANY]:
            cursor.execute(f"TRUNCATE {', '.join(long)} CASCADE")
        few = [name for name, found in counts.items() if 0 < found < MANY]
        cursor.execute(GUARDED, [few])
        guarded = [name for (name,) in cursor.fetchall()]
        for name in guarded:
            cursor.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        for name in few:
            cursor.execute(f"DELETE FROM {name}")
        # A table with keys to be looked at yet cannot be altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name in guarded:
            cursor.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")
