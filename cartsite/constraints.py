"""Broken constraints are told beside the field that has to be changed."""

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.db import models


class ErrorsBesideFields(models.Model):
    """For models that people edit: each constraint names such a field as its `violation_error_code`.

    Django shows the message of a constraint above the whole form.
    """

    class Meta:
        abstract = True

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Raise ValidationError with each message at its constraint's field, unless the form is without that field."""
        try:
            super().validate_constraints(exclude)
        except ValidationError as broken:
            shown = {field.name for field in self._meta.fields} - set(exclude or ())
            raise ValidationError(_move(broken, shown)) from None


def _move(broken: ValidationError, shown: Collection[str]) -> dict[str, list[ValidationError]]:
    """The errors by the field that they are shown at."""
    moved: dict[str, list[ValidationError]] = {}
    for name, errors in broken.error_dict.items():
        for error in errors:
            moved.setdefault(error.code if error.code and error.code in shown else name, []).append(error)
    return moved
