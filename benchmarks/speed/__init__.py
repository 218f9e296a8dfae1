"""The speed of this program beside that of others, timed in turn in one process."""
