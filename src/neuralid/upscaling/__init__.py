"""Enlarging pictures: one file a family of methods."""
