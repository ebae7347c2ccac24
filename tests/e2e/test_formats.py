"""The same outputs, in whatever form they are sent, get the same digits."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path

import numpy as np
import scipy.io

from evaluator.images import read_image
from support import TOML, Run, Tiny

BLOCKS = 'reader = "blocks"\ninputs = "Noisy.mat"\nreferences = "Gt.mat"\ncount = 32\nsize = [256, 256]\n'


def test_archives_and_arrays_give_the_digits_of_the_folder(evaluate: Run, tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.outputs("folder")
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz"), ("c.tgz", "w:gz"), ("d.tar.xz", "w:xz")):
        with tarfile.open(tmp_path / name, mode) as out:
            out.add(folder, "." if name < "c" else "wrapped")
    arrays = {file.stem: read_image(file).array for file in folder.iterdir()}
    np.savez_compressed(tmp_path / "e.npz", **arrays)
    mats = tmp_path / "mats"
    mats.mkdir()
    for case, array in arrays.items():
        scipy.io.savemat(mats / f"{case}.mat", {"im": array}, do_compression=True)
    paths = [folder, *(tmp_path / n for n in ("a.tar", "b.tar.gz", "c.tgz", "d.tar.xz", "e.npz")), mats]
    done = evaluate("--task", tiny.toml, "--data", tiny.root, "--format", "json", *paths)
    assert done.returncode == 0, done.stderr
    first, *others = json.loads(done.stdout)["submissions"]
    assert [o["submission"] for o in others] == ["a", "b", "c", "d", "e", "mats"]
    for other in others:
        assert other["metrics"] == first["metrics"], other["submission"]
        # PNG files in an archive are those of the folder, byte for byte.
        assert {f["code"] for f in other["findings"]} <= {"wrapping-folder", "equals-other"}


def test_files_of_all_blocks_give_the_digits_of_the_folder(evaluate: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    clean = random.integers(0, 256, (1, 32, 256, 256, 3), dtype=np.uint8)
    outputs = np.clip(clean + random.integers(-9, 10, clean.shape), 0, 255).astype(np.uint8)
    data = tmp_path / "tiny"
    data.mkdir()
    for name, values in (("Gt", clean), ("Noisy", 255 - clean)):
        scipy.io.savemat(data / f"{name}.mat", {name: values})
    head, split = TOML.split('reader = "files"')
    task = head.replace('"psnr.f64", "ssim.basicsr", "ms_ssim.common", "mae", "rmse_rel"', '"psnr.f64", "mae"')
    task = task.replace('by = ["psnr.f64", "ssim.basicsr"]', 'by = ["psnr.f64"]')
    kept = [line for line in split.splitlines() if line.startswith(("title", "licence", "home", "get", "folders"))]
    (tmp_path / "blocks.toml").write_text("\n".join([task, BLOCKS, *kept]))
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, block in enumerate(outputs[0]):
        np.save(folder / f"{number}.npy", block)
    scipy.io.savemat(tmp_path / "SubmitSrgb.mat", {"DenoisedBlocksSrgb": outputs})
    rows = [f"{n},{base64.b64encode(b.tobytes()).decode()}" for n, b in enumerate(outputs[0])]
    (tmp_path / "Kaggle.csv").write_text("\n".join(["ID,BLOCK", *rows]))
    paths = [folder, tmp_path / "SubmitSrgb.mat", tmp_path / "Kaggle.csv"]
    done = evaluate("--task", tmp_path / "blocks.toml", "--data", tmp_path, "--format", "json", *paths)
    assert done.returncode == 0, done.stderr
    first, *others = json.loads(done.stdout)["submissions"]
    assert [o["submission"] for o in others] == ["submitsrgb", "kaggle"]
    for other in others:
        assert other["metrics"] == first["metrics"]
        assert {f["code"] for f in other["findings"]} == {"equals-other"}
