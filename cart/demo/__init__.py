"""A believable shop for the demo: its stalls, goods, events and pictures."""
