"""Emptying the database between tests that commit: ten times as quick as Django's flush, which truncates every table
and then makes all permissions anew."""

from django.db import connection, transaction

# What migrations fill, and nothing else does.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}
# From here on it is quicker to truncate a table than to delete its rows.
MANY = 1000


@transaction.atomic
def empty_tables() -> None:
    """Delete all rows but what migrations have made. Numbers go on from where they were.

    What must never be deleted is, too: as a replica the database lets its triggers rest, and does not look at keys.
    """
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if name not in KEPT]
        count = "(SELECT '{0}', count(*) FROM (SELECT FROM {0} LIMIT {1}) AS rows)"
        cursor.execute(" UNION ALL ".join(count.format(name, MANY) for name in tables))
        counts = dict(cursor.fetchall())
        cursor.execute("SET LOCAL session_replication_role = replica")
        for name in (name for name, found in counts.items() if 0 < found < MANY):
            cursor.execute(f"DELETE FROM {name}")
        if long := [name for name, found in counts.items() if found == MANY]:
            cursor.execute(f"TRUNCATE {', '.join(long)} CASCADE")
