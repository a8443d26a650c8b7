"""A believable shop for the demo: its stalls, goods and events."""
