"""Scarcity and time: pools, holds, calendars, entries and bookings."""
