"""Addresses of calendars and entries."""

from django.urls import path

from bookings import views

app_name = "bookings"
urlpatterns = [
    path("calendars/", views.calendars, name="calendars"),
    path("calendars/<slug:slug>/", views.calendar, name="calendar"),
    path("entries/<int:entry_id>/", views.entry, name="entry"),
]
