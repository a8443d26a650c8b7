"""The version of a row that people edit: it counts the edits, so that a page opened before one cannot undo it."""

from typing import Any

from django.db import models
from django.db.models import F


class StaleVersion(Exception):
    """Somebody else saved the row since its page was opened. Nothing may be saved."""


class VersionField(models.PositiveIntegerField):  # type: ignore[type-arg]
    """Counts the edits of a row. Saving the row leaves the count alone, unless an expression was assigned to it."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The value to write. A number that was read earlier is never written back over a newer one."""
        value = super().pre_save(model_instance, add)
        return value if add or hasattr(value, "resolve_expression") else F(self.attname)


# What the version becomes when a service edits the row, or follows what was edited elsewhere.
EDITED: Any = F("version") + 1


class Versioned(models.Model):
    """A row that people edit. Its version is raised by edits, and not by holds and the like."""

    version = VersionField(default=1, db_default=1, editable=False)

    class Meta:
        abstract = True

    def claim_version(self, opened: int) -> bool:
        """Raise the version from the one that an editor saw. Return False, with nothing changed, if it is another.

        Of two transactions that saw the same version exactly one gets True: the other waits for its commit.
        """
        same = type(self)._default_manager.filter(pk=self.pk, version=opened)
        return bool(same.update(version=EDITED))
