"""Addresses of calendars and entries."""

from django.urls import path

from bookings.views import calendars

app_name = "bookings"
urlpatterns = [
    path("calendars/", calendars.calendars, name="calendars"),
    path("calendars/<slug:slug>/", calendars.calendar, name="calendar"),
    path("entries/<int:entry_id>/", calendars.entry, name="entry"),
]
