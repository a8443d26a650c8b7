"""Alive, and ready: what a load balancer asks."""

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from cartsite import heartbeats
from cartsite.celery import app as celery_app


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Alive: the process answers."""
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Ready: the database answers and has every migration, and the broker takes work. 503 names what is missing.

    Whether a worker and beat were heard of within a minute is said, too, but pages are served without them: that is
    logged as an error, and no reason for a load balancer to take this process away. None: the database cannot tell.
    """
    needed = {"database": _database_is_ready(), "broker": _broker_is_ready()}
    helpers = {who: _is_heard_of(who) for who in ("worker", "beat")}
    ready = all(needed.values())
    status = "ready" if ready else "not ready"
    return JsonResponse({"status": status, **needed, **helpers}, status=200 if ready else 503)


def _is_heard_of(who: str) -> bool | None:
    try:
        return heartbeats.heard_of(who)
    except Error:
        return None


def _database_is_ready() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return False


def _broker_is_ready() -> bool:
    try:
        with celery_app.connection_for_write(connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=1, timeout=3)
    except (OperationalError, OSError):
        return False
    return True
