"""Read, write and compare pictures and films."""
