"""``python -m neuralid``."""

from .cli import app

app(prog_name="neuralid")
