"""The cluster of our own: its data outlives every end of its server, and nobody else can get in."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import environ
import pytest

from cartsite.dev import StartError
from cartsite.dev.postgres import Cluster, embedded_url, socket_folder
from tests.dev.conftest import ask

MakeCluster = Callable[[], Cluster]


def test_data_is_found_again_after_a_stop(make_cluster: MakeCluster) -> None:
    first, second = make_cluster(), make_cluster()
    first.start()
    ask(first, "CREATE TABLE jar AS SELECT 7 AS honey")
    first.stop()

    second.start()

    assert ask(second, "SELECT honey FROM jar") == "7"


def test_data_is_found_again_after_kill_9(make_cluster: MakeCluster) -> None:
    first, second = make_cluster(), make_cluster()
    server = first.start()
    ask(first, "CREATE TABLE jar AS SELECT 7 AS honey")
    server.kill()
    server.wait()

    second.start()

    assert ask(second, "SELECT honey FROM jar") == "7"


def test_a_server_left_running_makes_way(make_cluster: MakeCluster) -> None:
    first, second = make_cluster(), make_cluster()
    left = first.start()
    ask(first, "CREATE TABLE jar AS SELECT 7 AS honey")

    second.start()

    assert left.wait() == 0
    assert ask(second, "SELECT honey FROM jar") == "7"


def test_a_stranger_with_the_number_of_a_dead_server_is_left_in_peace(make_cluster: MakeCluster) -> None:
    first, second = make_cluster(), make_cluster()
    first.start()
    pid_file = first.data / "postmaster.pid"
    _pid, *rest = pid_file.read_text().splitlines()
    first.stop()
    with subprocess.Popen(["sleep", "600"], user=first.account.uid) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *rest]))

        second.start()

        assert stranger.poll() is None
        assert ask(second, "SELECT 1") == "1"
        stranger.kill()


def test_half_made_data_is_made_anew(cluster: Cluster, place: Path) -> None:
    (place / "data.unfinished").mkdir(mode=0o700)
    (place / "data.unfinished" / "PG_VERSION").write_text("18")

    cluster.start()

    assert ask(cluster, "SELECT 1") == "1"
    assert not (place / "data.unfinished").exists()


def test_data_of_another_version_is_refused_in_one_line(make_cluster: MakeCluster) -> None:
    first, second = make_cluster(), make_cluster()
    first.start()
    first.stop()
    (first.data / "PG_VERSION").write_text("16\n")

    with pytest.raises(StartError, match=r"made by PostgreSQL 16, and this is \d+") as refused:
        second.start()

    assert "\n" not in str(refused.value)


def test_a_server_that_cannot_start_shows_its_log(cluster: Cluster) -> None:
    cluster.options["shared_buffers"] = "a jar"

    with pytest.raises(StartError, match="invalid value for parameter"):
        cluster.start()


def test_nobody_gets_in_but_through_a_private_socket(cluster: Cluster) -> None:
    cluster.start()

    assert ask(cluster, "SHOW listen_addresses") == ""
    assert cluster.socket.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["open to all", "a link"])
def test_a_socket_folder_that_is_not_ours_alone_is_refused(cluster: Cluster, place: Path, trap: str) -> None:
    if trap == "a link":
        (place / "elsewhere").mkdir(mode=0o700)
        cluster.socket.symlink_to(place / "elsewhere")
    else:
        cluster.socket.mkdir()
        cluster.socket.chmod(0o777)

    with pytest.raises(StartError, match="not a private folder"):
        cluster.start()


def test_a_database_is_made_once(cluster: Cluster) -> None:
    cluster.start()
    cluster.ensure_database('my "rose"')

    cluster.ensure_database('my "rose"')

    assert ask(cluster, "SELECT current_database()", 'my\\ "rose"') == 'my "rose"'


def test_words_are_words_in_every_language(cluster: Cluster) -> None:
    cluster.start()

    assert ask(cluster, "SELECT 'BLÅBÆR' ILIKE 'blåbær'") == "True"


def test_what_is_forgotten_is_gone(cluster: Cluster) -> None:
    server = cluster.start()

    cluster.forget()

    assert not os.path.lexists(cluster.data)
    assert server.wait() == 0


def test_stopping_twice_is_no_error(cluster: Cluster) -> None:
    server = cluster.start()
    server.send_signal(signal.SIGQUIT)
    server.wait()

    cluster.stop()
    cluster.stop()


def test_the_url_leads_django_to_the_socket(cluster: Cluster) -> None:
    found = environ.Env.db_url_config(cluster.url("rose"))

    assert (found["HOST"], found["PORT"], found["NAME"]) == (str(cluster.socket), 5432, "rose")
    assert (found["USER"], found["PASSWORD"]) == ("postgres", "")


def test_the_demo_has_the_same_short_url_each_time() -> None:
    found = environ.Env.db_url_config(embedded_url())

    assert found["HOST"] == str(socket_folder())
    assert len(os.fsencode(socket_folder() / ".s.PGSQL.5432")) <= 103
