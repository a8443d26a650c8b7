"""Thousands of rows that are somebody else's: copies of all that is in the big tables, made by the database."""

from django.apps import apps
from django.db import connection, models

ROOMS = ("cartsite", "bookings", "cart", "orders", "payments")
APART = 100_000  # between the primary keys of a row and its copies, far above what the sequences give out
# What a shop has few of, whatever it sells: copies share them.
FEW = {"User", "Stall", "Calendar", "Question", "CollectionSlot", "DeliveryZone", "Voucher", "Group", "Permission"}


def copy_everything(times: int) -> None:
    """Copy each row of the big tables so many times, with their foreign keys among each other, and ANALYZE."""
    for model in _parents_first():
        _copy(model, times)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _big_tables() -> set[type[models.Model]]:
    found = {model for room in ROOMS for model in apps.get_app_config(room).get_models()}
    return {model for model in found if model.__name__ not in FEW and model.objects.exists()}  # type: ignore[attr-defined]


def _parents_first() -> list[type[models.Model]]:
    """The big tables, each after those that it points to."""
    left, ordered = _big_tables(), []
    while left:
        ready = sorted((model for model in left if not _parents(model) & left), key=lambda model: model.__name__)
        assert ready, f"These point to each other: {left}"
        ordered += ready
        left -= set(ready)
    return ordered


def _parents(model: type[models.Model]) -> set[type[models.Model]]:
    keys = [field for field in model._meta.concrete_fields if field.is_relation]
    return {key.related_model for key in keys if _is_used(model, key)} - {model}  # type: ignore[misc]


def _is_used(model: type[models.Model], key: models.Field) -> bool:  # type: ignore[type-arg]
    return model._default_manager.filter(**{f"{key.name}__isnull": False}).exists()


def _copy(model: type[models.Model], times: int) -> None:
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    into = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(_value(model, field) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{model._meta.db_table}" ({into}) '
            f'SELECT {values} FROM "{model._meta.db_table}" old, generate_series(1, {times}) n'
        )


def _value(model: type[models.Model], field: models.Field) -> str:  # type: ignore[type-arg]
    """What a copy has in this column."""
    old = f'old."{field.column}"'
    points_to_copy = field.is_relation and field.related_model in _big_tables()
    if isinstance(field, models.AutoField) or points_to_copy:
        return f"{old} + n * {APART}"
    if isinstance(field, models.UUIDField) and field.unique:
        return "gen_random_uuid()"
    if isinstance(field, models.CharField) and _is_unique(model, field):
        return f"CASE WHEN {old} = '' THEN '' ELSE left(upper(md5({old} || n)), {field.max_length or 32}) END"
    return old


def _is_unique(model: type[models.Model], field: models.Field) -> bool:  # type: ignore[type-arg]
    together = [c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    return field.unique or any(field.name in c.fields for c in together)
