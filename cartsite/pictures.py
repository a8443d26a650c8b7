"""Pictures among the static files, which staff name by their path."""

from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import SuspiciousFileOperation, ValidationError
from django.utils.translation import gettext as _


def check_picture(path: str) -> None:
    """Raise ValidationError unless there is a file at this path among the static files."""
    try:
        found = finders.find(path)
        is_there = Path(found).is_file() if isinstance(found, str) else staticfiles_storage.exists(path)
    except (OSError, SuspiciousFileOperation, ValueError):
        is_there = False
    if not is_there:
        raise ValidationError(_("There is no picture %(path)s among the static files."), params={"path": path})
