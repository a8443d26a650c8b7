"""`docker run --env-file .env` starts the shop: Docker knows neither quotes nor comments after a value."""

import subprocess
import sys

import pytest

from tests.cartsite.test_settings import KEPT
from tests.production.env_file import BadEnvFile, documented_runs, example, read_env_file
from tests.production.image import CHECKOUT

SECRETS = {
    "SECRET_KEY": "no-secret-only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz",
    "SUMUP_API_KEY": "no-secret",
    "SUMUP_MERCHANT_CODE": "MCODE",
}


def test_a_value_is_taken_as_it_stands() -> None:
    found = read_env_file('# comment\n\nA=1 # not a comment\n  B="x"\nC=\nD\nE=a=b\n')

    assert found == {"A": "1 # not a comment", "B": '"x"', "C": "", "E": "a=b"}


def test_docker_refuses_an_export() -> None:
    with pytest.raises(BadEnvFile):
        read_env_file("export A=1")


def test_the_example_with_its_secrets_filled_in_starts_the_shop() -> None:
    """As a container has them: nothing else is set, and there is no `.env` that could help."""
    given = KEPT | example() | SECRETS

    started = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=CHECKOUT, env=given, capture_output=True, text=True, check=False
    )

    assert (started.returncode, started.stderr) == (0, "")


def test_no_value_of_the_example_has_quotes_or_a_comment_behind_it() -> None:
    odd = {name: value for name, value in example().items() if value != value.strip() or {'"', "'", "#"} & {*value}}

    assert odd == {}


def test_the_readme_shows_how_each_role_is_run() -> None:
    runs = documented_runs()

    assert set(runs) == {"web", "worker", "beat"}
    assert runs["web"].settings == {"MIGRATE": "1"}
    assert runs["worker"].health == ["/shop/entrypoint.sh", "healthy-worker"]
