"""CP-SAT without pandas.

OR-Tools declares arguments of some methods with pandas, which a process that solves would load for
that alone: half of its memory (43 of 91 MB) and of the time until it answers first.
"""

import sys
from types import ModuleType


class _Absent:
    """No value is one of these."""


_pandas = ModuleType("pandas")
_pandas.Index = _pandas.Series = _Absent  # type: ignore[attr-defined]
sys.modules.setdefault("pandas", _pandas)

from ortools.sat.python import cp_model  # noqa: E402

if sys.modules["pandas"] is _pandas:
    del sys.modules["pandas"]  # Whoever wants it gets the real one.

__all__ = ["cp_model"]
