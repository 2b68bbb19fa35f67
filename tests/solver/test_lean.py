"""A process that solves does not load what it never uses."""

import subprocess
import sys


def test_the_model_needs_no_pandas_and_leaves_the_real_one_to_others():
    program = "import solver.model, sys; assert 'pandas' not in sys.modules; import pandas as pd"
    assert not subprocess.run([sys.executable, "-c", f"{program}; pd.Series([1])"]).returncode
