"""What Docker would make of the Dockerfile: which files it copies, and which commands it runs on them."""

import re
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
