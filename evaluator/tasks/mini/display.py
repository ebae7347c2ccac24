"""`udc/mini`: high dynamic range seen through a display, y = C(x ∗ k + n).

γ of the papers' equation is a tone map, x / (x + 0.25), which the task applies to outputs and references when scoring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini.light import Light, convolved, divided, noisy, quantised, to_light
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import crops

PEAK = 500
"""Greatest value of the data, x_max in C(x) = min(x, x_max); diffuse white is 1."""
WHITE = 1 << 17
"""Diffuse white in whole numbers."""
RADIUS = 32
"""How far a point spreads, px."""
_SUM = 1 << 14
_WAVELENGTHS = (0.47, 0.51, 0.55, 0.59, 0.63)
NOISE = (4e-4, 1e-5)
"""β₁ and β₂ of `noisy`."""
_HIGHLIGHT = 215
BOOSTS = (4, 8, 12, 24, 600, 30, 90, 40, 150, 50, 20, 200)
"""How bright the highlights of each crop are: paper and cloth a little, lamps and chrome much."""
_SEED = 20220817


@dataclass(frozen=True)
class Display:
    """A display's pixel grid, as its diffraction shows it."""

    period: tuple[float, float]
    """Distance of the diffraction orders at 0.55 µm, px: vertical and horizontal."""
    opening: tuple[float, float]
    """Share of a display pixel's side that lets light through: vertical and horizontal."""
    spot: float
    """Half-width of the camera's own spot, px."""


DISPLAYS = (
    Display((6.1, 6.1), (0.78, 0.80), 0.55),
    Display((4.7, 8.3), (0.74, 0.84), 0.60),
    Display((9.2, 5.2), (0.85, 0.70), 0.50),
)


def _lines(period: float, opening: float, spot: float, wavelength: float) -> Light:
    """Return the spread along one axis at one wavelength (µm): orders m of strength sinc²(m · opening)."""
    places = np.arange(-RADIUS, RADIUS + 1)
    spread = np.zeros(len(places))
    distance = period * wavelength / 0.55
    for order in range(-int(RADIUS / distance), int(RADIUS / distance) + 1):
        # The squared Lorentzian's tails are what makes haze around lights.
        spread += np.sinc(order * opening) ** 2 / np.square(1 + np.square((places - order * distance) / spot))
    return quantised(spread, _SUM)


def factors(display: Display) -> list[tuple[Light, Light]]:
    """Return the point spread function as a sum of products (column, row), one for each wavelength."""
    return [
        (
            _lines(display.period[0], display.opening[0], display.spot, wavelength)[:, None],
            _lines(display.period[1], display.opening[1], display.spot, wavelength)[None],
        )
        for wavelength in _WAVELENGTHS
    ]


def point_spread(display: Display) -> NDArray[np.float32]:
    """Return the point spread function that is applied, `(65, 65, 1)`, sum 1."""
    whole = sum(column * row for column, row in factors(display))
    return np.asarray(whole / (len(_WAVELENGTHS) * _SUM**2), np.float32)[:, :, None]


def bright(image: NDArray[np.uint8], boost: int) -> Light:
    """Return a photograph's light, 1 = 2¹⁷, with its highlights up to `boost` times as bright, at most `PEAK`."""
    # By the darkest channel: lamps and reflections are white, a red tank is no highlight.
    over = np.maximum(image.min(axis=2, keepdims=True).astype(np.int64) - _HIGHLIGHT, 0)
    span = 255 - _HIGHLIGHT
    light = to_light(image, WHITE)
    return np.asarray(np.minimum(light + divided(light * (boost - 1) * over**4, span**4), PEAK * WHITE))


def seen_through(light: Light, display: Display) -> Light:
    """Return x ∗ k for light that reaches 32 px beyond the result on each side."""
    total = sum((convolved(convolved(light, column), row) for column, row in factors(display)), np.int64(0))
    return divided(np.asarray(total), len(_WAVELENGTHS) * _SUM**2)


def generate() -> Iterator[Made]:
    """Yield twelve crops as float32 in [0, 500]: the input, the display's point spread function, the clean truth."""
    for number, (boost, (case, wide)) in enumerate(zip(BOOSTS, crops(RADIUS).items(), strict=False)):
        random = np.random.RandomState(_SEED + number)
        display = DISPLAYS[number % len(DISPLAYS)]
        light = bright(wide, boost)
        seen = noisy(seen_through(light, display), *NOISE, random, WHITE)
        inner = light[RADIUS:-RADIUS, RADIUS:-RADIUS]
        psf = point_spread(display)
        yield Made(case, {"input": _hdr(np.clip(seen, 0, PEAK * WHITE)), "psf": psf}, _hdr(inner))


def _hdr(light: Light) -> NDArray[np.float32]:
    return (light / WHITE).astype(np.float32)
