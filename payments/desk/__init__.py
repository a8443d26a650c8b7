"""The back office's desk: the forms and pages by which staff reach the services; only doors sit at it."""
