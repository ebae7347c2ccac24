"""Mini splits: cases made on the spot, deterministically, so that every task runs on a fresh machine."""

from collections.abc import Callable, Iterator

from evaluator.tasks.manifests import format_manifest
from evaluator.tasks.mini import dark, display, dual_pixel, motion, noise, phone
from evaluator.tasks.mini.made import Made
from evaluator.tasks.spec import GENERATOR_NAMES

Generator = Callable[[], Iterator[Made]]

GENERATORS: dict[str, Generator] = {
    "sidd_noise": noise.generate,
    "motion_blur": motion.generate,
    "display_psf": display.generate,
    "dual_pixel": dual_pixel.generate,
    "dual_pixel_8": dual_pixel.generate_8,
    "dual_pixel_radial": dual_pixel.generate_radial,
    "dual_pixel_disparity": dual_pixel.generate_disparity,
    "phone_to_dslr": phone.generate,
    "under_exposed": dark.generate,
    "under_exposed_boxes": dark.generate_boxes,
}
"""Generators by the name that a task file uses."""
assert tuple(GENERATORS) == GENERATOR_NAMES  # noqa: S101


def manifest_of(generator: str) -> str:
    """Run a generator and return the text of its manifest, for maintainers who publish a mini split."""
    return format_manifest(
        {name: digest for made in GENERATORS[generator]() for name, digest in made.digests().items()}
    )
