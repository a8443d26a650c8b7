"""The frame of the house: settings, URLs, people, mail that is owed, and cases a person must look at."""

from cartsite.celery import app as celery_app

__all__ = ["celery_app"]
