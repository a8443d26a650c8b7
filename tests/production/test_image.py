"""The Dockerfile and its .dockerignore are read as Docker reads them."""

import pytest

from tests.production.image import CHECKOUT, Ignored, Instruction, instructions


def test_lines_that_go_on_are_one_instruction() -> None:
    text = "FROM python # the base\n# a comment\nRUN env A=1 \\\n  # another\n    B=2 \\\n    true\n\nUSER shop\n"

    found = instructions(text)

    assert found == [
        Instruction("FROM", "python # the base"),
        Instruction("RUN", "env A=1 B=2 true"),
        Instruction("USER", "shop"),
    ]


@pytest.mark.parametrize(
    ("path", "stays_out"),
    [
        (".env", True),
        (".git/config", True),
        (".dockerignore", False),
        ("cartsite/__pycache__/x.pyc", True),
        ("__pycache__", True),
        ("docs/shop.png", True),
        ("orders/docs/a.txt", False),
        ("README.md", True),
        ("static/README.md", False),
        ("package-lock.json", True),
        ("templates/base.html", False),
    ],
)
def test_a_rule_holds_for_what_it_names_and_all_below(path: str, stays_out: bool) -> None:
    ignored = Ignored("# comment\n.*\n!.dockerignore\n**/__pycache__\ndocs\npackage*.json\n*.md\n")

    assert (path in ignored) is stays_out


@pytest.mark.parametrize("secret", [".env", ".local/simulator/journal.jsonl", ".git/config", "tests/conftest.py"])
def test_no_secret_and_no_data_of_this_machine_gets_into_the_image(secret: str) -> None:
    assert secret in Ignored((CHECKOUT / ".dockerignore").read_text())
