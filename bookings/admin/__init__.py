"""The back office of bookings."""

from bookings.admin import attendees, calendars, entries, places, pools, series, waiting

__all__ = ["attendees", "calendars", "entries", "places", "pools", "series", "waiting"]
