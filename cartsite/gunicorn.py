"""How gunicorn serves the shop, here and in production. Secrets in URLs never reach its logs."""

import os
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from cartsite.logs import masked

MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes its files there safely


class DiscreetLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's logs with secrets left out."""

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> dict[str, Any]:
        """What the access log may say. The path is the one that was sent: a decoded one could forge lines."""
        found: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return found | {"U": masked(environ["RAW_URI"])}

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an error that came through to gunicorn; it names the URL."""
        super().exception(msg, *(masked(arg) if isinstance(arg, str) else arg for arg in args), **kwargs)


preload_app = True  # code is shared between workers, and a broken setting stops the start instead of every worker
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)
timeout = 60  # seconds
graceful_timeout = 20
max_requests = 10_000  # then a worker is replaced, so that nothing can pile up for ever
max_requests_jitter = 1_000
worker_tmp_dir = str(MEMORY) if MEMORY.is_dir() else None  # a heartbeat must not wait for a disk
control_socket_disable = True  # nobody steers it from outside, and it would need a home folder

logger_class = DiscreetLogger
accesslog = "-"
access_log_format = "%(t)s %(m)s %(U)s %(s)s %(M)sms"


def on_starting(server: Any) -> None:
    """Refuse to start with an account at SumUp of the wrong kind, and warn of a proxy that is not listed.

    Celery's worker checks the first by itself, and serves nobody.
    """
    django.setup()
    call_command("check", tags=["sumup"])
    call_command("check", tags=["proxies"], deploy=True)
    call_command("check_sumup", starting=True)
