#!/bin/sh
# One image, several roles:  web | worker | beat | manage COMMAND... | healthy-web | healthy-worker
# web, worker and beat wait for the database (WAIT_FOR_DATABASE seconds, 60 unless told), and migrate first if MIGRATE=1.
# Of several that migrate at once, one works and the others wait for it.
set -eu
cd "$(dirname "$0")"

await_database() {
    DJANGO_SETTINGS_MODULE=cartsite.settings python - "${WAIT_FOR_DATABASE:-60}" <<'PYTHON'
import sys
import time

import django
from django.db import OperationalError, connection

django.setup()  # a bad setting ends us here, with its own line
deadline = time.monotonic() + float(sys.argv[1])
while True:
    try:
        connection.ensure_connection()
        break
    except OperationalError as error:
        if time.monotonic() > deadline:
            sys.exit(f"The database does not answer: {error}")
        time.sleep(1)
PYTHON
}

make_ready() {
    await_database
    if [ "${MIGRATE:-}" = 1 ]; then
        python manage.py migrate_once
    fi
}

# Asks the site of this container for a sign of life, under the name that it goes by.
ask_web() {
    python - "${PORT:-8000}" <<'PYTHON'
import os
import sys
import urllib.parse
import urllib.request

host = urllib.parse.urlsplit(os.environ["PUBLIC_URL"]).netloc
asked = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/healthz", headers={"Host": host})
urllib.request.urlopen(asked, timeout=4)
PYTHON
}

case "${1:-}" in
    web)
        make_ready
        exec gunicorn --config cartsite/gunicorn.py --bind "0.0.0.0:${PORT:-8000}" cartsite.wsgi:application
        ;;
    worker)
        make_ready
        exec celery --app cartsite worker --pool threads --concurrency "${WORKER_THREADS:-8}" --loglevel info
        ;;
    beat)
        make_ready
        # A schedule kept in memory: every sweep may run early, and no file has to outlive the container.
        exec celery --app cartsite beat --scheduler celery.beat:Scheduler --loglevel info
        ;;
    manage)
        shift
        exec python manage.py "$@"
        ;;
    healthy-web)
        ask_web
        ;;
    healthy-worker)
        exec celery --app cartsite inspect ping --destination "celery@$(hostname)" --timeout 4
        ;;
    *)
        echo "Say which role: web | worker | beat | manage COMMAND... | healthy-web | healthy-worker" >&2
        exit 64
        ;;
esac
