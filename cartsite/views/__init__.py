"""Pages that belong to no room: signing in and up, one's account, and health."""
