"""What browsers ask of calendars, tickets and the door."""
