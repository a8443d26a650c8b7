"""Runs `manage.py check` in many environments, each in a process of its own that finds the libraries loaded already.

Reads a JSON list of environments; writes a JSON list of exit statuses and what was said on stderr.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback
from importlib import import_module

sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as for a program that is started here
for library in (
    "cartsite.dev.postgres",
    "csp.constants",
    "django.core.management",
    "django.db.models",
    "django.template.backends.django",
    "django.urls",
    "environ",
    "kombu.transport",
    "psycopg",
    "pydantic.main",
    "requests",
):
    import_module(library)


def start(environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and stderr of one `manage.py check`."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            become_the_program(environment, said.fileno())
        _child, status = os.waitpid(child, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read()


def become_the_program(environment: dict[str, str], stderr: int) -> None:
    """Run the program to its end, whatever that is; this process ends with it."""
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(stderr, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["manage.py", "check"]
    status = 0
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as end:  # as Python itself ends, but without tidying up
        status = end.code if isinstance(end.code, int) else 1
        sys.stderr.write(f"{end.code}\n" if isinstance(end.code, str) else "")
    except BaseException:
        status = 1
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.stdout.write(json.dumps([start(environment) for environment in json.load(sys.stdin)]))
