"""The back office: calendars with their rules and questions, and what entries need for themselves alone."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline

from bookings.admin.asking import ArchivableForm
from bookings.models import Calendar, Question, Resource
from cartsite.backoffice import KeptAdmin


class ChoicesField(forms.CharField):
    """Answers to choose from, with commas between them."""

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else ", ".join(value or [])

    def to_python(self, value: Any) -> Any:
        return [each.strip() for each in str(value or "").split(",") if each.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)
