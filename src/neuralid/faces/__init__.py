"""Find faces in photos, frame them, cut them out, and put them back."""
