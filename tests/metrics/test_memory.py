"""Large images stay within a bound of memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from evaluator import metrics
height, width = int(sys.argv[1]), int(sys.argv[2])
reference = np.random.default_rng(0).integers(0, 65536, (height, width, 3)).astype(np.uint16)
output, reference = (reference // 2 + 1000).astype(np.float64), reference.astype(np.float64)
for metric in ("psnr.f64", "mae", "rmse_rel", "ssim.basicsr", "ssim.matlab3d", "ssim.sk_u7", "ms_ssim.common"):
    assert metrics.evaluate(metric, output=output, reference=reference, peak=65535.0).value is not None
# Not getrusage: its maximum is inherited from the process that started this one.
print(next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")) / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
# The images themselves, as float64, are 90 MB and 400 MB a pair; the process takes about 100 MB before them.
@pytest.mark.parametrize(("height", "width", "gib"), [(1120, 1680, 0.6), (2160, 3840, 1.6)])
def test_the_peak_of_memory_is_bounded(height: int, width: int, gib: float) -> None:
    command = [sys.executable, "-c", SCRIPT, str(height), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < gib
