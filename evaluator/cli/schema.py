"""`evaluate schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic import BaseModel


@click.command("schema")
@click.argument(
    "what",
    type=click.Choice(["submission", "task", "scorecard", "cost", "published", "opinions", "moves", "conformance"]),
)
def command(what: str) -> None:
    """Print the JSON schema of submission.toml, a task file, a scorecard, or one of the records beside scorecards."""
    from evaluator.cli.output import print_json
    from evaluator.efficiency import Cost
    from evaluator.ingest import Manifest
    from evaluator.results import Conformance, Moves, Opinions, PublishedTable, Scorecard
    from evaluator.tasks import TaskSpec

    models: dict[str, type[BaseModel]] = {
        "submission": Manifest,
        "task": TaskSpec,
        "scorecard": Scorecard,
        "cost": Cost,
        "published": PublishedTable,
        "opinions": Opinions,
        "moves": Moves,
        "conformance": Conformance,
    }
    print_json(models[what].model_json_schema())
