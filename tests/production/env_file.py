"""The files and commands of README and .env.example as Docker reads them."""

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise

from tests.production.image import CHECKOUT

IMAGE = "rose-ash-cart"


class BadEnvFile(Exception):
    """Docker would refuse the file. The text says which line, and why."""


def read_env_file(text: str) -> dict[str, str]:
    """Read a file for `docker run --env-file`: it knows no quotes, no `export` and no comment after a value."""
    found = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.lstrip().partition("=")
        if re.search(r"\s", name):
            raise BadEnvFile(f"{line}: a name has no spaces")
        if equals:
            found[name] = value
    return found


def example() -> dict[str, str]:
    """`.env.example` as `docker run` understands it."""
    return read_env_file((CHECKOUT / ".env.example").read_text())


@dataclass(frozen=True)
class DockerRun:
    """One `docker run` of the README: the settings it adds, and what it gives the entry point."""

    settings: dict[str, str]
    arguments: list[str]
    health: list[str]


def documented_runs() -> dict[str, DockerRun]:
    """Every `docker run --env-file .env ...` of the README, by its role."""
    text = (CHECKOUT / "README.md").read_text().replace("\\\n", " ")
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("docker run ")]
    runs = [_read(words) for words in lines if "--env-file" in words]
    return {run.arguments[0]: run for run in runs}


def _read(words: list[str]) -> DockerRun:
    options, arguments = words[: words.index(IMAGE)], words[words.index(IMAGE) + 1 :]
    pairs = [after for option, after in pairwise(options) if option in ("-e", "--env")]
    health = [option.partition("=")[2] for option in options if option.startswith("--health-cmd=")]
    return DockerRun(dict(pair.split("=", 1) for pair in pairs), arguments, shlex.split(" ".join(health)))
