"""What Docker would make of the Dockerfile: which files it copies, and which commands it runs on them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Template

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, such as RUN, and what it says."""

    word: str
    rest: str


def instructions(dockerfile: str) -> list[Instruction]:
    """Read a Dockerfile: comments left out, lines that end in a backslash joined with the next."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def run_line(words: str) -> str:
    """The shell command of the Dockerfile's one RUN that contains these words."""
    text = (CHECKOUT / "Dockerfile").read_text()
    [found] = [each.rest for each in instructions(text) if each.word == "RUN" and words in each.rest]
    return found


class Ignored:
    """The rules of a `.dockerignore`: of those that name a path or a folder above it, the last one decides."""

    def __init__(self, text: str) -> None:
        """Read the rules, one a line."""
        lines = [line.strip() for line in text.splitlines()]
        rules = [line for line in lines if line and not line.startswith("#")]
        self.rules = [(_as_expression(rule.removeprefix("!")), not rule.startswith("!")) for rule in rules]

    def __contains__(self, path: str) -> bool:
        """Whether a path, told from the top of the checkout, stays out of the image."""
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        decided = [out for rule, out in self.rules if any(rule.fullmatch(each) for each in above)]
        return bool(decided) and decided[-1]


def _as_expression(rule: str) -> re.Pattern[str]:
    """A rule of a `.dockerignore` as a regular expression: ** crosses folders, * and ? do not."""
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", rule.strip("/"))
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in parts))


def copy_context(into: Path) -> None:
    """Copy what `COPY . .` copies: the checkout as it stands, without what `.dockerignore` names."""
    ignored = Ignored((CHECKOUT / ".dockerignore").read_text())
    shutil.copytree(CHECKOUT, into, ignore=partial(_names_left_out, ignored), dirs_exist_ok=True)


def _names_left_out(ignored: Ignored, folder: str, names: list[str]) -> list[str]:
    here = Path(folder).relative_to(CHECKOUT)
    return [name for name in names if str(here / name) in ignored]


class StepFailed(Exception):
    """A step of the Dockerfile failed. The text says which, and the end of what it said."""


# What an index for pip may need on this machine, and nothing else of it.
KEPT = re.compile(r"PIP_.*|HOME|LANG|TMPDIR|(https?|no)_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE", re.IGNORECASE)


class Image:
    """The image that the Dockerfile describes, made in a folder: its /venv and /shop are folders there."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Name the folder, which must be empty, and somebody to tell how far it is."""
        self.folder, self.say = folder, say
        self.base = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        self.base["PATH"] = f"{self._make_python()}:{os.defpath}"
        self.environment: dict[str, str] = {}
        self.workdir = folder
        self.entrypoint: list[str] = []
        self.healthcheck: list[str] = []

    def build(self) -> None:
        """Do every step that needs no Docker. Raises StepFailed, also for a step that is not known here."""
        for each in instructions((CHECKOUT / "Dockerfile").read_text()):
            step = getattr(self, f"_{each.word.lower()}", None)
            if step is None:
                raise StepFailed(f"{each.word} {each.rest}: it is not known how to do this without Docker")
            step(self.here(each.rest))

    def here(self, text: str) -> str:
        """A text of the Dockerfile with the image's folders replaced by those that stand in for them."""
        return re.sub(r"(?<![\w./])/(venv|shop)\b", rf"{self.folder}/\1", text)

    def _make_python(self) -> Path:
        """A folder with a `python`, as the base image has one and Debian does not."""
        tools = self.folder / "tools"
        tools.mkdir()
        python = tools / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(os.path.realpath(sys.executable))} "$@"\n')
        python.chmod(0o755)
        return tools

    def _from(self, _rest: str) -> None:
        self.environment, self.workdir = dict(self.base), self.folder / "build"
        self.workdir.mkdir(exist_ok=True)

    def _env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _equals, value = pair.partition("=")
            if name != "PIP_NO_CACHE_DIR":  # it keeps the image small; here the cache spares the index
                self.environment[name] = Template(value).safe_substitute(self.environment)

    def _workdir(self, rest: str) -> None:
        self.workdir = Path(rest)
        self.workdir.mkdir(exist_ok=True)

    def _copy(self, rest: str) -> None:
        source, target = rest.split()[-2:]
        if rest.startswith("--from="):
            return  # both stages share the folder
        if source == ".":
            copy_context(self.workdir / target)
        elif source in Ignored((CHECKOUT / ".dockerignore").read_text()):
            raise StepFailed(f"COPY {rest}: .dockerignore keeps it out")
        else:
            shutil.copy(CHECKOUT / source, self.workdir / target)

    def _run(self, rest: str) -> None:
        if rest.startswith("useradd"):
            self.say("  not done here: useradd (all runs as whoever runs this)")
            return
        self.say(f"  {rest.replace(str(self.folder), '')[:100]}")
        done = subprocess.run(
            rest, shell=True, cwd=self.workdir, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StepFailed(f"RUN {rest} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)

    def _healthcheck(self, rest: str) -> None:
        self.healthcheck = json.loads(rest.partition("CMD")[2])

    def _user(self, _rest: str) -> None:
        """All runs as whoever runs this."""

    _expose = _cmd = _user
