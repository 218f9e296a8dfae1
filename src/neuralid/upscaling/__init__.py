"""Enlarging pictures: one file per family of methods."""
