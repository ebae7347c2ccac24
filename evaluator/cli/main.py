"""Entry of the command `evaluate`. Verbs are imported when they are called, so that `--help` stays light."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from pathlib import Path

import click
from click_default_group import DefaultGroup

from evaluator._version import __version__

_VERBS = (
    "score",
    "check",
    "profile",
    "rank",
    "compare",
    "rescore",
    "opinions",
    "site",
    "bundle",
    "audit",
    "phones",
    "tasks",
    "data",
    "metrics",
    "weights",
    "baseline",
    "train",
    "init",
    "export",
    "schema",
    "doctor",
)


class _Verbs(DefaultGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            self._refuse_misspelt(ctx, cmd_name)
            ctx.arg0 = cmd_name  # type: ignore[attr-defined]  # DefaultGroup hands it on as the first argument of the default verb
            cmd_name = self.default_cmd_name
        command: click.Command = importlib.import_module(f"evaluator.cli.{cmd_name}").command
        return command

    def _refuse_misspelt(self, ctx: click.Context, word: str) -> None:
        from evaluator.findings import did_you_mean

        if not word.startswith("-") and not Path(word).exists():
            hint = did_you_mean(word, _VERBS)
            if hint:
                raise click.UsageError(f"There is no verb {word!r}.{hint}", ctx)


@click.group(cls=_Verbs, default="score", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evaluate")
def cli() -> None:
    """Score image restoration submissions with the official numbers, rank them, and publish the leaderboard.

    \b
    evaluate --task sidd --split mini submissions/*   score (the default verb)
    evaluate rank --task sidd --split mini            the table
    evaluate site                                     the pages

    `evaluate VERB --help` says more; * marks the verb that may be left out. Exit status: 0 all well; 1 `compare`
    found a regression; 2 bad use, or something to mend in a submission or in the data.
    """


class _Said(logging.Handler):
    """What the library logs, as messages of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        from evaluator.cli.output import say

        say(record.getMessage())


_said = _Said()


def main() -> None:
    """Run the command line; bad input ends with a message and status 2, never with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal's encoding must not end a run
    logging.getLogger("evaluator").addHandler(_said)
    logging.getLogger("evaluator").setLevel(logging.INFO)
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted. What was finished is kept: the same command goes on from there.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; closing stdout must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _say(f"Error: {error.strerror or error}: {error.filename or ''}")
        sys.exit(2)
    except Exception as error:
        from evaluator.findings import EvaluatorError  # not at the top: pydantic would double the time of --help

        if not isinstance(error, EvaluatorError):
            raise
        from evaluator.cli.output import print_findings, print_json, say

        if "--format=json" in sys.argv or ("json" in sys.argv and "--format" in sys.argv):
            print_json({"error": str(error), "findings": [f.plain() for f in error.findings]})
        say(f"Error: {error}")
        print_findings(error.findings)
        sys.exit(2)


def _say(text: str) -> None:
    from evaluator.cli.output import say  # not at the top: it would slow --help

    say(text)
