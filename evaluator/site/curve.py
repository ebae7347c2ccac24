"""Draw sharp-region preservation curves as an SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

WIDTH, HEIGHT, MARGIN = 640, 400, 56
COLOURS = ("#0b57c4", "#b3261e", "#1a7f37", "#8a5300", "#7d3cb5", "#57606a")


def curve_svg(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Return an SVG picture of S(t), the share of in-focus pixels whose error is below t.

    Args:
        curves: by name, (thresholds in [0, 1], shares in percent).
    """
    top = max((t for thresholds, _ in curves.values() for t in thresholds), default=0) or 1.0

    def place(threshold: float, share: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * threshold / top
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share / 100
        return f"{x:.1f},{y:.1f}"

    lines = [
        {
            "name": name,
            "colour": COLOURS[number % len(COLOURS)],
            "dash": "" if number < len(COLOURS) else "6 3",
            "points": " ".join(place(t, s) for t, s in zip(thresholds, shares, strict=True)),
        }
        for number, (name, (thresholds, shares)) in enumerate(curves.items())
    ]
    environment = Environment(
        loader=PackageLoader("evaluator.site"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    ticks = [(round(255 * top * k / 4, 1), place(top * k / 4, 0).split(",")[0]) for k in range(5)]
    shares = [(s, place(0, s).split(",")[1]) for s in (0, 25, 50, 75, 100)]
    return environment.get_template("curve.svg").render(
        width=WIDTH, height=HEIGHT, margin=MARGIN, lines=lines, ticks=ticks, shares=shares
    )
