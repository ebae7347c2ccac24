"""The harness's own version; it stands in every scorecard."""

__version__ = "0.1.0"
