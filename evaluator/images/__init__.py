"""Read and write pixels: the one place that knows bit depth, peak, alpha and orientation."""

from evaluator.images.codec import decode, encode_npy, encode_png, read_image
from evaluator.images.deconvolve import deconvolved
from evaluator.images.header import SUFFIXES, Header, inspect
from evaluator.images.pixels import PEAKS, ImageProblem, Pixels, peak_of, pixels_digest
from evaluator.images.unit import from_unit, noise_level, on_luminance, to_unit

__all__ = [
    "PEAKS",
    "SUFFIXES",
    "Header",
    "ImageProblem",
    "Pixels",
    "decode",
    "deconvolved",
    "encode_npy",
    "encode_png",
    "from_unit",
    "inspect",
    "noise_level",
    "on_luminance",
    "peak_of",
    "pixels_digest",
    "read_image",
    "to_unit",
]
