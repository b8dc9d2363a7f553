import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch


HAS_TRITON = importlib.util.find_spec("triton") is not None


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed; it comes with torch for CUDA")
@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernel itself runs in tests/gpu")
def test_the_kernel_in_triton_s_interpreter():
    file = Path(__file__).with_name("interpreted_counting.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(file)]
    # As a child of a worker of pytest-xdist it would take its options for its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command, env={**environment, "TRITON_INTERPRET": "1"}, cwd=file.parents[3], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
