"""Read and write pixels: the one place that knows bit depth, peak, alpha and orientation."""

from evaluator.images.codec import decode, encode_npy, encode_png, read_image
from evaluator.images.header import SUFFIXES, Header, inspect
from evaluator.images.pixels import PEAKS, ImageProblem, Pixels, peak_of, pixels_digest

__all__ = [
    "PEAKS",
    "SUFFIXES",
    "Header",
    "ImageProblem",
    "Pixels",
    "decode",
    "encode_npy",
    "encode_png",
    "inspect",
    "peak_of",
    "pixels_digest",
    "read_image",
]
