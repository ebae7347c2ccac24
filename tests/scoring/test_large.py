"""A pair of 100 megapixels is scored within 1.5 GB, from its files to its scorecard."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from support import TOML

SIDE, GIGABYTE = 10_000, 1e9
SCRIPT = """
import json, sys
from pathlib import Path
import evaluator
root = Path(sys.argv[1])
split = evaluator.load_task(root / "large.toml").split("five", root)
(outcome,) = evaluator.score([root / "team"], split, leaderboards=root / "boards")
found = {m: result.value for m, result in outcome.card.metrics.items()}
# Not getrusage: its maximum is inherited from the process that started this one.
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")) * 1024
print(json.dumps({"peak": peak, "values": found, "findings": [f.code for f in outcome.findings]}))
"""


def write(path: Path, tile: np.ndarray, sigma: float) -> float:
    """Write photographs side by side, with noise; return the noise's mean square.

    A period of the image is a period of the noise: no second image is needed to make it.
    """
    noisy = np.clip(np.rint(tile + np.random.default_rng(1).normal(0, sigma, tile.shape)), 0, 255).astype(np.uint8)
    times = -(-SIDE // tile.shape[0]), -(-SIDE // tile.shape[1]), 1
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.tile(noisy[:, :, ::-1], times)[:SIDE, :SIDE]
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return float(np.mean(np.square(noisy.astype(float) - tile)))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_a_pair_of_100_megapixels_is_scored_within_a_bound_of_memory(tmp_path: Path) -> None:
    tile = np.ascontiguousarray(data.astronaut()[:500, :500])  # divides the side
    mse = {
        name: write(tmp_path / name, tile, s)
        for name, s in (("large/ref/0.png", 0), ("large/in/0.png", 15), ("team/0.png", 6))
    }
    text = TOML.replace('"tiny"', '"large"').replace("count = 5\nsize = [24, 20]", f"size = [{SIDE}, {SIDE}]")
    (tmp_path / "large.toml").write_text(text + "\n[limits]\ncase_s = 600\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["findings"] == []
    assert found["values"]["psnr.f64"] == pytest.approx(10 * np.log10(255**2 / mse["team/0.png"]), rel=1e-12)
    assert 0 < found["values"]["ssim.basicsr"] < found["values"]["ms_ssim.common"] < 1
    assert found["peak"] < 1.5 * GIGABYTE
