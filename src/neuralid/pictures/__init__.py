"""Pictures and films: read, written, compared."""
