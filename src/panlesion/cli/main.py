"""`panlesion`: one verb per file, loaded only when it is asked for, and the one place where errors become exit codes.

Exit codes: 0 done, 1 something is wrong with the data (the message says what and what to do), 2 the command line was not
understood, 70 a bug of ours (with its traceback).
"""

import importlib
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command, get_group

from panlesion import __version__
from panlesion.errors import PanlesionError

TRACEBACK_VARIABLE = "PANLESION_TRACEBACK"
TRACEBACK_FLAG = "--traceback"
EXIT_DATA, EXIT_BUG = 1, 70


@dataclass(frozen=True, kw_only=True)
class Verb:
    """Where a verb lives: `attribute` of `panlesion.cli.<module>` is a function or a `typer.Typer` of sub-commands.

    A function's docstring holds its own examples; a verb of sub-commands shows `example`.
    """

    module: str
    attribute: str
    panel: str
    help: str
    example: str = ""


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "synth": Verb(
            module="synth", attribute="synth", panel="Make", help="Synthesise lesions in healthy CTs: image, mask and report."
        ),
        "phantom": Verb(
            module="phantom",
            attribute="app",
            panel="Make",
            help="Draw healthy torsos with their organ maps.",
            example="panlesion phantom draw hosts --n 4 --seed 1",
        ),
        "pretrain": Verb(
            module="pretrain", attribute="pretrain", panel="Learn", help="Train the network on lesions synthesised on the fly."
        ),
        "train-refiner": Verb(
            module="train_refiner",
            attribute="train_refiner",
            panel="Learn",
            help="Train the network that redraws grain and edge of lesions (synth --refine).",
        ),
        "finetune": Verb(
            module="finetune", attribute="finetune", panel="Learn", help="Teach the network your own few annotated CTs."
        ),
        "plot": Verb(module="plot", attribute="plot", panel="Learn", help="Draw the curves of a training run."),
        "aid": Verb(
            module="aid",
            attribute="app",
            panel="Use",
            help="The reading room: a server with worklist, viewer and report.",
            example="panlesion aid serve --data room",
        ),
        "evaluate": Verb(
            module="evaluate",
            attribute="evaluate",
            panel="Use",
            help="Score predicted masks against true ones, by case and class.",
        ),
        "bench": Verb(
            module="bench",
            attribute="app",
            panel="Learn",
            help="Run the task table and report with intervals.",
            example="panlesion bench run sts --data datasets --shots 1,4,16 --out results",
        ),
        "show": Verb(module="show", attribute="show", panel="Look", help="Draw a case as a picture: planes, contours, report."),
        "data": Verb(
            module="data",
            attribute="app",
            panel="Look",
            help="List, check and expand folders of cases.",
            example="panlesion data list cohort",
        ),
        "predict": Verb(
            module="predict", attribute="predict", panel="Use", help="Find, measure and report lesions in CTs, DICOM or NIfTI."
        ),
        "features": Verb(
            module="features", attribute="features", panel="Use", help="Write a network's feature vectors of CTs or lesions."
        ),
        "doctor": Verb(
            module="doctor", attribute="doctor", panel="Look", help="Say what is installed and what the missing extras enable."
        ),
    }
)


class Verbs(TyperGroup):
    """The root command: knows the verbs' names and one-line helps without importing them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `--traceback` wherever it stands: it is usually typed behind a command that has just failed."""
        ctx.meta[TRACEBACK_FLAG] = TRACEBACK_FLAG in args or bool(os.environ.get(TRACEBACK_VARIABLE))
        return super().parse_args(ctx, [arg for arg in args if arg != TRACEBACK_FLAG])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Swap the stub the help pages are made of for the verb itself."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in VERBS:
            command = _load(name)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; the only broad `except` outside job workers stands here."""
        try:
            return super().invoke(ctx)
        except (PanlesionError, OSError) as error:
            _report(error, show_traceback=ctx.meta[TRACEBACK_FLAG])
            raise typer.Exit(EXIT_DATA) from error
        except Exception as error:
            # typer's own ways of ending a command carry an exit code, and its main() knows what to do with them
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
                raise
            _report_bug(error)
            raise typer.Exit(EXIT_BUG) from error


def _load(name: str) -> Any:
    verb = VERBS[name]
    found = getattr(importlib.import_module(f"panlesion.cli.{verb.module}"), verb.attribute)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
        command.epilog = command.epilog or f"Example: `{verb.example}`"
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        alone.command(name)(found)
        command = get_command(alone)
    command.name = name
    return command


def _report(error: Exception, *, show_traceback: bool) -> None:
    """One red paragraph on stderr; the traceback only when asked for."""
    console = Console(stderr=True)
    if show_traceback:
        console.print(Text("".join(traceback.format_exception(error)), style="dim"), soft_wrap=True)
    words = " ".join(str(error).split()) or type(error).__name__
    console.print(Text.assemble(("error: ", "bold red"), (words, "red")), soft_wrap=True)


def _report_bug(error: Exception) -> None:
    console = Console(stderr=True)
    console.print(Text("".join(traceback.format_exception(error)), style="dim"), soft_wrap=True)
    hint = f"this is a bug in panlesion {__version__}, not in your data: please report it with the lines above and the command."
    console.print(Text.assemble((f"{type(error).__name__}: ", "bold red"), (hint, "red")), soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"panlesion {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Verbs,
    name="panlesion",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Example: `panlesion synth --hosts phantom --types liver_tumor,kidney_cyst --per-type 2 --seed 1 out`",
)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
    show_traceback: Annotated[
        bool, typer.Option(TRACEBACK_FLAG, help=f"Show where an error arose; also by {TRACEBACK_VARIABLE}=1.")
    ] = False,
) -> None:
    """Lesions synthesised in healthy CT, with masks and reports that are true of their voxels."""


def _stub() -> None:
    raise AssertionError("a stub only lends its help text; `Verbs.resolve_command` loads the verb")


for _name, _verb in VERBS.items():
    app.command(_name, help=_verb.help, rich_help_panel=_verb.panel)(_stub)
