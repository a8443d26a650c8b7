"""Addresses of calendars and entries."""

from django.urls import path

from bookings.views import calendars, door, tickets, waiting

app_name = "bookings"
urlpatterns = [
    path("calendars/", calendars.calendars, name="calendars"),
    path("calendars/<slug:slug>/", calendars.calendar, name="calendar"),
    path("calendars/<slug:slug>/feed.ics", calendars.feed, name="feed"),
    path("whats-on/", calendars.whats_on, name="whats_on"),
    path("entries/<int:entry_id>/", calendars.entry, name="entry"),
    path("entries/<int:entry_id>/wait/", waiting.join, name="wait"),
    path("waiting/<uuid:uuid>/", waiting.status, name="waiting"),
    path("tickets/<uuid:booking>/", tickets.ticket, name="ticket"),
    path("tickets/<uuid:booking>/calendar.ics", tickets.calendar, name="ticket_calendar"),
    path("door/", door.doors, name="doors"),
    path("door/<int:entry_id>/", door.door, name="door"),
    path("door/<int:entry_id>/scan/", door.scan, name="door_scan"),
    path("door/<int:entry_id>/undo/", door.undo, name="door_undo"),
    path("door/<int:entry_id>/rest/", door.rest, name="door_rest"),
]
