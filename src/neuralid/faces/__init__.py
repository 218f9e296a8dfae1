"""Faces in photos: found, framed, cut out, put back."""
