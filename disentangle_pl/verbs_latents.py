"""The verbs of the command line that say and show what latents do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.studies.held_out import Part
from disentangle_pl.studies.latent_numbers import FACTORS_APART
from disentangle_pl.studies.latents import report_latents
from disentangle_pl.studies.traverse import report_traverse
from disentangle_pl.verb_parser import VerbParser, data_of_run, verb_parser


def latents(args: Sequence[str]) -> None:
    """Say what every latent of brain models means.

    Examples:
        disentangle-pl latents runs/mine/checkpoints/last.ckpt --data.truth=cohort/truth.tsv
        disentangle-pl latents runs/*/checkpoints/last.ckpt --data.factors=[age,mmse] --part val
        disentangle-pl latents last.ckpt --data.root=scans.tsv --data.truth=volumes.csv --apart Ventricles ICV
    """
    does = (
        "What every latent of brain models means, on held-out people: the factors it follows, how reliable it is, how "
        "it changes with time, and whether ventricles and intensity are separate latents."
    )
    parser = verb_parser("latents", does, latents.__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="checkpoints; several are compared over their seeds")
    parser.add_argument("--part", type=Part, default="test", help="the held-out people")
    parser.add_argument(
        "--apart",
        nargs=2,
        type=str,
        default=list(FACTORS_APART),
        help="two factors that separate latents ought to hold",
    )
    parser.add_argument("--out", type=Path, default=Path("latents"), help="where tables and pictures go")
    given, data = _parsed(parser, args)
    report_latents(given.checkpoints, data, given.out, given.part, given.apart)


def traversals(args: Sequence[str]) -> None:
    """Show what every latent changes.

    Examples:
        disentangle-pl traverse runs/mine/checkpoints/last.ckpt
        disentangle-pl traverse runs/ada/checkpoints/last.ckpt runs/beta/checkpoints/last.ckpt --data.truth=truth.tsv
        disentangle-pl traverse last.ckpt --subject sub-001 --latents 3 5 8 --columns 9
    """
    does = (
        "Move one latent at a time and show what changes: a picture, a film and, of volumes, NIfTI files of the sweep "
        "and of the difference of its ends. Two checkpoints are shown side by side."
    )
    parser = verb_parser("traverse", does, traversals.__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="one checkpoint, or two to compare")
    parser.add_argument("--part", type=Part, default="test", help="the held-out images that say how far latents spread")
    parser.add_argument("--subject", type=str | None, help="start from this participant (default: a typical scan)")
    parser.add_argument("--latents", nargs="+", type=int, default=[], help="which (default: the ten of largest KL)")
    parser.add_argument("--columns", type=int, default=7, help="steps, an odd number")
    parser.add_argument("--out", type=Path, default=Path("traverse"), help="where pictures and volumes go")
    given, data = _parsed(parser, args)
    report_traverse(
        given.checkpoints,
        data,
        given.out,
        part=given.part,
        subject=given.subject,
        latents=given.latents,
        columns=given.columns,
    )


def _parsed(parser: VerbParser, args: Sequence[str]) -> tuple[Namespace, ImageData]:
    """Parse arguments with checkpoints, and make the data: those of the run, under what the user gives."""
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="data to encode (default: those of the run)")
    given = parser.parse_args([*data_of_run(args), *args])
    missing = [path for path in given.checkpoints if not path.is_file()]
    if missing:
        raise InputError(f"there is no checkpoint at {missing[0]}: give the path of a .ckpt file of a run")
    if given.data is None:
        raise InputError("the run of the first checkpoint has no config.yaml beside it: give --data or --config")
    made: Any = parser.instantiate_classes(given)
    return given, made.data
