"""Training: `loop` is the whole of it on two screens; the other files are its parts."""
