"""What of the errors of others a user can mend: no memory, packages that do not fit together."""

from __future__ import annotations

from .errors import NeuralidError
from .memory import is_out_of_memory


def explain(error: Exception) -> NeuralidError | None:
    """The error as one a user can mend; None for a bug."""
    if isinstance(error, NeuralidError):
        return error
    if is_out_of_memory(error):
        return NeuralidError(
            "not enough memory", hint="fewer or smaller pictures, or a smaller scale or batch"
        )
    if isinstance(error, ImportError) and not (error.name or "").startswith("neuralid"):
        return NeuralidError(
            f"a package cannot be imported: {' '.join(str(error).split())}",
            hint="`pip install --force-reinstall neuralid` gets packages that fit together",
        )
    return None
