"""`python -m cartsite.dev.postgres -- COMMAND`: a command, a database for it, and nothing left behind."""

import os
import shutil
import signal
import sys
from pathlib import Path

import environ
import pytest

from cartsite.dev.processes import LINUX, command_line
from tests.dev.conftest import eventually, start_python

WRAPPER = ["-m", "cartsite.dev.postgres", "--"]
ASK = "import os, psycopg, environ; found = environ.Env.db_url_config(os.environ['DATABASE_URL']); "
ASK += (
    "ask = psycopg.connect(host=found['HOST'], port=found['PORT'], user=found['USER'], dbname=found['NAME']).execute; "
)
# Shows where its database is and the server's number, then waits.
SHOW = "SELECT pg_read_file('postmaster.pid')"
LINGER = f'{ASK}print(found["HOST"], ask("{SHOW}").fetchone()[0].split()[0], flush=True); import time; time.sleep(600)'


@pytest.mark.parametrize("status", [0, 3])
def test_the_command_has_a_database_and_its_exit_status_is_ours(status: int) -> None:
    wrapped = f"{ASK}print(ask('SELECT 6 * 7').fetchone()[0], os.environ['DATABASE_URL']); raise SystemExit({status})"

    wrapper = start_python(*WRAPPER, sys.executable, "-c", wrapped)
    output, _ = wrapper.communicate()

    answer, url = output.split()
    assert (wrapper.returncode, answer) == (status, "42")
    assert not Path(environ.Env.db_url_config(url)["HOST"]).exists()


def test_a_given_database_is_used_as_it_is() -> None:
    show = "import os; print(os.environ['DATABASE_URL'], end='')"

    wrapper = start_python(*WRAPPER, sys.executable, "-c", show, DATABASE_URL="postgres://somewhere/rose")

    assert wrapper.communicate()[0] == "postgres://somewhere/rose"


def test_the_word_embedded_is_no_given_database() -> None:
    show = "import os; print(os.environ['DATABASE_URL'], end='')"

    wrapper = start_python(*WRAPPER, sys.executable, "-c", show, DATABASE_URL="embedded")

    assert wrapper.communicate()[0].startswith("postgres://postgres@")


def test_a_command_that_is_not_there_is_one_line() -> None:
    wrapper = start_python(*WRAPPER, "there-is-no-such-command")

    output, _ = wrapper.communicate()

    assert wrapper.returncode == 1
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_it_is_told_to_end(told: signal.Signals) -> None:
    wrapper = start_python(*WRAPPER, sys.executable, "-c", LINGER)
    assert wrapper.stdout
    folder, server = wrapper.stdout.readline().split()

    wrapper.send_signal(told)
    wrapper.communicate()

    assert wrapper.returncode in {1, 128 + told}
    assert not Path(folder).exists()
    assert not command_line(int(server))


def test_the_server_ends_even_when_we_are_killed() -> None:
    wrapper = start_python(*WRAPPER, sys.executable, "-c", LINGER)
    assert wrapper.stdout
    folder, server = wrapper.stdout.readline().split()

    os.killpg(wrapper.pid, signal.SIGKILL)
    wrapper.communicate()

    # Only Linux tells a server that its starter is gone; elsewhere the next start of the demo ends it.
    assert eventually(lambda: not command_line(int(server))) or not LINUX
    shutil.rmtree(folder)
