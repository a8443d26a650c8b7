"""How Django finds the frame's models and checks."""

from django.apps import AppConfig


class CartsiteConfig(AppConfig):
    name = "cartsite"
    verbose_name = "People, mail and cases"
