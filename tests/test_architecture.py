"""Who may import whom: the one-way street of the house."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STREET = ["bookings", "cart", "orders", "payments"]  # a room may import those before it
DOORS = {"views", "admin", "api"}  # may call the services of any room; imported by the URL tables only
PRODUCTION = [p for room in [*STREET, "cartsite"] for p in (ROOT / room).rglob("*.py") if "simulator" not in p.parts]


def is_door(file: Path) -> bool:
    """Whether a file is a door, or a part of one that became a folder."""
    return file.stem in DOORS or file.parent.name in DOORS


def imports_of(file: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", STREET)
def test_a_room_never_imports_a_higher_one(room: str) -> None:
    higher = set(STREET[STREET.index(room) + 1 :])
    files = [file for file in (ROOT / room).rglob("*.py") if not is_door(file) and "migrations" not in file.parts]

    found = {(file.name, name) for file in files for name in imports_of(file) if name.split(".")[0] in higher}

    assert found == set()


def test_the_frame_imports_no_room_but_through_its_doors() -> None:
    files = [file for file in (ROOT / "cartsite").rglob("*.py") if not is_door(file) and file.stem != "urls"]

    found = {(file.name, name) for file in files for name in imports_of(file) if name.split(".")[0] in STREET}

    assert found == set()


def test_nobody_imports_a_door_but_the_url_tables() -> None:
    files = [file for file in PRODUCTION if file.stem != "urls"]

    found = {
        (file.name, name)
        for file in files
        for name in imports_of(file)
        if name.split(".")[0] in [*STREET, "cartsite"]
        and name.split(".")[1:2] in [[door] for door in DOORS]
        and not (is_door(file) and name.split(".")[:2] == list(file.relative_to(ROOT).parts[:2]))  # its own rooms
    }

    assert found == set()


def test_only_doors_sit_at_the_back_offices_desk() -> None:
    others = [file for file in PRODUCTION if not is_door(file) and "desk" not in file.parts]

    found = {(file.name, name) for file in others for name in imports_of(file) if name.startswith("payments.desk")}

    assert found == set()


def test_the_simulator_knows_nothing_of_us() -> None:
    files = (ROOT / "payments" / "simulator").rglob("*.py")

    found = {
        (file.name, name)
        for file in files
        for name in imports_of(file)
        if name.split(".")[0] in {*STREET, "cartsite", "django"} and not name.startswith("payments.simulator")
    }

    assert found == set()


def test_every_import_stands_at_the_top_of_its_file() -> None:
    inside = {
        file.name
        for file in PRODUCTION
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    assert inside == set()
