"""``python -m neuralid``."""

import os
import sys

from .cli import app

try:
    app(prog_name="neuralid")
except SystemExit as ended:
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        raise
    # All is written and closed. Once in a while torch's threads abort a process of several while
    # the interpreter is taken down, and torchrun would take that for a failed run.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended.code if isinstance(ended.code, int) else bool(ended.code))
