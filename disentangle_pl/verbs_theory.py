"""The verbs of the command line about why VAEs disentangle, and when they cannot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.studies.impossibility import report_impossibility
from disentangle_pl.studies.variance_study import MAIN, report_study
from disentangle_pl.verb_parser import data_of_run, verb_parser


def impossibility(args: Sequence[str]) -> None:
    """Show that rotated latents explain images as well.

    Examples:
        disentangle-pl impossibility
        disentangle-pl impossibility runs/mine/checkpoints/last.ckpt
        disentangle-pl impossibility last.ckpt --config configs/data/sprites.yaml --quick true
    """
    does = (
        "Why images alone cannot say which latents are right: rotations that leave the prior and the ELBO of a model "
        "as they are while its scores collapse, what a diagonal posterior pays for them, and which scores see them. A "
        "page with tables and a picture; without a checkpoint of a linear VAE that is solved in closed form."
    )
    parser = verb_parser("impossibility", does, impossibility.__doc__)
    parser.add_argument("checkpoint", nargs="?", type=Path, default=None, help="of any model (default: a linear VAE)")
    parser.add_argument("--out", type=Path, default=Path("impossibility"), help="where page, tables and picture go")
    parser.add_argument("--rows", type=int, default=3000, help="images whose codes are scored")
    parser.add_argument("--images", type=int, default=300, help="how many of them are decoded for the ELBO")
    parser.add_argument("--rotations", type=int, default=3, help="random rotations of the model")
    parser.add_argument("--quick", type=bool, default=False, help="only the scores that take a second")
    parser.add_argument("--seed", type=int, default=0, help="of draws and rotations")
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="data to encode (default: those of the run)")
    given = parser.parse_args([*data_of_run(args), *args])
    if given.checkpoint is not None and not given.checkpoint.is_file():
        raise InputError(f"there is no checkpoint at {given.checkpoint}: give the path of a .ckpt file of a run")
    made: Any = parser.instantiate_classes(given)
    how = {key: made[key] for key in ("rows", "images", "rotations", "quick", "seed")}
    report_impossibility(given.checkpoint, made.data, given.out, **how)


def study(args: Sequence[str]) -> None:
    """Relate the scores of many models to the variance of their data.

    Examples:
        disentangle-pl study runs/variance_small --measures variance/
        disentangle-pl study export.csv --measures measures.tsv --scores mig sap
        disentangle-pl study runs/variance_small
    """
    does = (
        "Do models disentangle better where factors induce unequal amounts of variance, the same everywhere? Scores of "
        "many runs against measures of their data sets and codes, in regressions with data sets as random effects, "
        "rank correlations, pictures, and sentences that say what was found."
    )
    parser = verb_parser("study", does, study.__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, folders of them, exports of W&B (CSV, JSON)")
    parser.add_argument("--scores", nargs="+", type=str, default=list(MAIN), help="scores to explain")
    parser.add_argument(
        "--measures",
        nargs="+",
        type=Path,
        default=[],
        help="folders that `variance` wrote, named as the data set or the run, or a table with a row for each",
    )
    parser.add_argument("--out", type=Path, default=Path("study"), help="where tables and pictures go")
    given = parser.parse_args(list(args))
    report_study(given.runs, given.out, given.scores, given.measures)
