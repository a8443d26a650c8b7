"""How days and times are written where nothing else is said, by language (settings.FORMAT_MODULE_PATH)."""
