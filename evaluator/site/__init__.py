"""Leaderboard pages: static HTML that opens from a folder, with no network."""

from evaluator.site.build import build_site, single_file

__all__ = ["build_site", "single_file"]
