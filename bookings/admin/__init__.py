"""The back office of bookings."""

from bookings.admin import calendars, places, pools

__all__ = ["calendars", "places", "pools"]
