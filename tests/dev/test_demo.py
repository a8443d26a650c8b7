"""The demo's supervisor, with small stand-ins for the parts of the shop: all live, or none."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cartsite.dev import StartError
from cartsite.dev.demo import Family, alone, check_port, environment, parts_of_the_shop
from cartsite.dev.processes import LINUX, command_line
from tests.dev.conftest import eventually, start_python

# A shop in the folder argv[1] of one part for each further argument, which is a shell script.
SHOP = """
import os, sys
from pathlib import Path
from cartsite.dev import StartError
from cartsite.dev import demo
from cartsite.dev.demo import Family, Part, keep_open
from cartsite.dev.processes import Told, listen

demo.END_WITHIN = 1

folder, *scripts = sys.argv[1:]
listen()
shop = [Part(f"part {number}", ["sh", "-c", script]) for number, script in enumerate(scripts)]
try:
    keep_open(Family(Path(folder), os.environ), None, [Part("Errand", ["true"])], shop, "The shop is open.")
except Told:
    pass
except StartError as error:
    sys.exit(str(error))
"""


def lingering(folder: Path, name: str) -> str:
    """A script that writes down its number and stays."""
    return f"echo $$ > {folder / name}.running; exec sleep 600"


def exits_when_told(folder: Path) -> str:
    """A script that stays until a file called `now` is there, and fails then."""
    return f"while [ ! -e {folder / 'now'} ]; do sleep 0.1; done; echo the last words; exit 7"


def number_of(folder: Path, name: str) -> int:
    """The number of a script's process, once it has written it down."""
    note = folder / f"{name}.running"
    assert eventually(lambda: note.exists() and note.read_text().endswith("\n"))
    return int(note.read_text())


def open_shop(folder: Path, *scripts: str) -> subprocess.Popen[str]:
    """Start a shop, and return it when it says that it is open or has ended."""
    shop = start_python("-c", SHOP, str(folder), *scripts)
    assert shop.stdout
    for line in shop.stdout:
        if line == "The shop is open.\n":
            break
    return shop


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wish_to_end_ends_everything(place: Path, told: signal.Signals) -> None:
    with_a_child = f"sleep 600 & echo $! > {place / 'child.running'}; wait"
    deaf = f"trap '' TERM; echo $$ > {place / 'deaf.running'}; while true; do sleep 1; done"
    shop = open_shop(place, lingering(place, "first"), with_a_child, deaf)
    everyone = [number_of(place, name) for name in ("first", "child", "deaf")]

    shop.send_signal(told)
    output, _ = shop.communicate()

    assert shop.returncode == 0
    assert output.endswith("Everything is stopped.\n")
    assert not any(command_line(pid) for pid in everyone)
    assert not (place / "demo.pids").exists()


def test_under_nohup_the_end_of_the_terminal_is_not_ours(place: Path) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    shop = open_shop(place, exits_when_told(place))
    signal.signal(signal.SIGHUP, former)

    shop.send_signal(signal.SIGHUP)
    (place / "now").touch()
    output, _ = shop.communicate()

    assert "part 0 has ended (exit status 7)" in output


def test_a_part_that_ends_takes_the_others_with_it_and_its_log_is_shown(place: Path) -> None:
    shop = open_shop(place, lingering(place, "first"), exits_when_told(place))
    first = number_of(place, "first")

    (place / "now").touch()
    output, _ = shop.communicate()

    assert shop.returncode == 1
    assert "part 1 has ended (exit status 7)" in output
    assert "the last words" in output
    assert not command_line(first)


def test_a_part_that_is_killed_is_named(place: Path) -> None:
    shop = open_shop(place, lingering(place, "first"))

    os.kill(number_of(place, "first"), signal.SIGKILL)
    output, _ = shop.communicate()

    assert (shop.returncode, "part 0 has ended (killed by SIGKILL)" in output) == (1, True)


def test_a_part_that_cannot_start_stops_the_start(place: Path) -> None:
    shop = start_python("-c", SHOP, str(place), "echo no such setting; exit 1")

    output, _ = shop.communicate()

    assert shop.returncode == 1
    assert "no such setting" in output


def test_what_a_killed_demo_left_is_ended_at_the_next_start(place: Path) -> None:
    shop = open_shop(place, lingering(place, "first"), lingering(place, "second"))
    everyone = [number_of(place, name) for name in ("first", "second")]
    shop.kill()
    shop.communicate()

    # Linux tells them; elsewhere they are found by the record.
    assert eventually(lambda: not any(command_line(pid) for pid in everyone)) or not LINUX
    Family(place, {}).end_leftovers()

    assert not any(command_line(pid) for pid in everyone)
    assert not (place / "demo.pids").exists()


def test_leftovers_are_known_by_their_command_and_strangers_spared(place: Path) -> None:
    sleep = ["sleep", "600"]
    with subprocess.Popen(sleep, process_group=0) as left, subprocess.Popen(sleep, process_group=0) as stranger:
        record = [(left.pid, command_line(left.pid)), (stranger.pid, "something else")]
        (place / "demo.pids").write_text(json.dumps(record))

        Family(place, {}).end_leftovers()

        assert left.wait() == -signal.SIGTERM
        assert stranger.poll() is None
        stranger.kill()


def test_a_torn_record_is_no_obstacle(place: Path) -> None:
    (place / "demo.pids").write_text('[[12, "gun')

    Family(place, {}).end_leftovers()

    assert not (place / "demo.pids").exists()


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(StartError, match=f"Port {port} is in use .* make demo SIMULATOR_PORT="):
            check_port(port, "SIMULATOR_PORT")

    check_port(port, "SIMULATOR_PORT")


@pytest.mark.parametrize("port", [-1, 0, 65536, 10**9])
def test_a_port_that_cannot_be_is_one_clear_sentence(port: int) -> None:
    with pytest.raises(StartError, match=f"There is no port {port}"):
        check_port(port, "PORT")


def test_one_demo_of_a_checkout_at_a_time(place: Path) -> None:
    with alone(place), pytest.raises(StartError, match="running already"), alone(place):
        pass


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {"DATABASE_URL": "embedded", "PUBLIC_URL": "http://127.0.0.1:9000"}),
        ({"DATABASE_URL": "postgres://elsewhere/rose"}, {"DATABASE_URL": "postgres://elsewhere/rose"}),
        ({"SUMUP_API_KEY": ""}, {"SUMUP_API_KEY": "sup_sk_simulator"}),
        ({"DEBUG": "0", "DEMO": "0"}, {"DEBUG": "1", "DEMO": "1"}),
    ],
)
def test_what_a_person_has_set_is_kept_unless_it_is_no_demo_then(
    given: Mapping[str, str], told: Mapping[str, str]
) -> None:
    assert environment(9000, 9001, given).items() >= told.items()


def test_the_simulator_stays_home_when_sumup_is_elsewhere() -> None:
    usual = parts_of_the_shop(9000, 9001, environment(9000, 9001, {}))
    elsewhere = parts_of_the_shop(9000, 9001, environment(9000, 9001, {"SUMUP_API_URL": "https://sumup.example"}))

    assert [part.name for part in usual] == ["simulator", "site", "worker", "beat"]
    assert [part.name for part in elsewhere] == ["site", "worker", "beat"]


def test_every_part_runs_on_this_python() -> None:
    assert {part.command[0] for part in parts_of_the_shop(1, 2, environment(1, 2, {}))} == {sys.executable}
