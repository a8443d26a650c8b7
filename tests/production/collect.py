"""Collect the static files as the Dockerfile does: its own command, on the files that it copies.

`make check` runs this. Nothing is written into the checkout.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.production.image import copy_context, run_line


def main() -> int:
    """Run the command; its exit status, with what it said if it failed."""
    command = run_line("collectstatic")
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    with tempfile.TemporaryDirectory(prefix="rose-collect-") as folder:
        copy_context(Path(folder))
        environment = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    print((done.stdout + done.stderr if done.returncode else done.stdout).strip())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
