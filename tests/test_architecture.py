"""Who may import whom, as far as the contracts in pyproject.toml (`make layers`) cannot say it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ["bookings", "cart", "orders", "payments", "cartsite"]
DOORS = {"views", "admin", "api"}  # may call the services of any room; imported by the URL tables only
PRODUCTION = [p for room in ROOMS for p in (ROOT / room).rglob("*.py") if "simulator" not in p.parts]


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


def test_nobody_imports_a_door_but_the_url_tables() -> None:
    files = [file for file in PRODUCTION if file.stem != "urls"]

    found = {
        (file.name, name)
        for file in files
        for name in imports_of(file)
        if name.split(".")[0] in ROOMS
        and name.split(".")[1:2] in [[door] for door in DOORS]
        and not (is_door(file) and name.split(".")[:2] == list(file.relative_to(ROOT).parts[:2]))  # its own rooms
    }

    assert found == set()


def test_the_simulator_knows_nothing_of_us() -> None:
    files = (ROOT / "payments" / "simulator").rglob("*.py")

    found = {
        (file.name, name)
        for file in files
        for name in imports_of(file)
        if name.split(".")[0] in {*ROOMS, "django"} and not name.startswith("payments.simulator")
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
