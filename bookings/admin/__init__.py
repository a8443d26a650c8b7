"""The back office of bookings."""

from bookings.admin import attendees, calendars, places, pools

__all__ = ["attendees", "calendars", "places", "pools"]
