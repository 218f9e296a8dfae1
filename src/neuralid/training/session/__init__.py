"""One stretch of training, from start or resume to its end."""
