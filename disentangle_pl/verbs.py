"""The verbs of the command line that work on trained models, beside fit, validate, test and predict."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from disentangle_pl.brain.longitudinal import LongitudinalData  # noqa: F401 - lets --data=LongitudinalData be short
from disentangle_pl.data.module import ImageData
from disentangle_pl.data.synthetic import SyntheticData  # noqa: F401 - likewise
from disentangle_pl.errors import InputError
from disentangle_pl.fit import check_arguments
from disentangle_pl.metrics.sheet import ALL, MORE
from disentangle_pl.studies.compact import compact
from disentangle_pl.studies.evaluate import Choice, evaluate_files, evaluate_models
from disentangle_pl.studies.meta_transfer import meta_transfer
from disentangle_pl.studies.run_report import report_runs
from disentangle_pl.studies.run_table import Goal
from disentangle_pl.studies.sparsity import MAIN, report_sparsity
from disentangle_pl.sweeps.local import sweep_here
from disentangle_pl.verb_parser import data_of_run, verb_parser
from disentangle_pl.verbs_brain import prepare, scans, simulated_cohort
from disentangle_pl.verbs_clinic import predict_scores
from disentangle_pl.verbs_explore import explore
from disentangle_pl.verbs_genome import gwas
from disentangle_pl.verbs_latents import counterfactuals, latents, traversals
from disentangle_pl.verbs_report import report
from disentangle_pl.verbs_theory import impossibility, study
from disentangle_pl.verbs_variance import variance


def evaluate(args: Sequence[str]) -> None:
    """Score checkpoints, or codes from any other program.

    Examples:
        disentangle-pl evaluate runs/mine/checkpoints/last.ckpt
        disentangle-pl evaluate runs/*/checkpoints/last.ckpt --data.eval_size=5000
        disentangle-pl evaluate --codes codes.npz
        disentangle-pl evaluate --codes a.csv b.parquet --factors age sex --kinds sex=classes --scores mig dci
        disentangle-pl evaluate --codes codes.npz --test held_out.npz --intervals=true
    """
    does = "Score checkpoints, or codes from any other program, on all scores at once."
    parser = verb_parser("evaluate", does, evaluate.__doc__)
    parser.add_argument("checkpoints", nargs="*", type=Path, help="checkpoints; several are compared and ranked")
    parser.add_argument(
        "--codes",
        nargs="+",
        type=Path,
        default=[],
        help="files with codes and factors instead: .npz, .pt, .csv, .tsv or .parquet; several are compared",
    )
    parser.add_argument("--test", type=Path | None, help="such a file, whose rows the probes are tested on")
    parser.add_argument("--factors", nargs="+", type=str, default=[], help="factors of --codes to score (default: all)")
    parser.add_argument(
        "--kinds", nargs="+", type=str, default=[], metavar="NAME=classes|quantity", help="kinds of factors of --codes"
    )
    parser.add_argument("--out", type=Path, default=Path("evaluation"), help="where the results go")
    parser.add_argument("--quick", type=bool, default=False, help="only the scores that take a second")
    parser.add_argument("--scores", nargs="+", type=str, default=[], help=f"only these: {', '.join(ALL | MORE)}")
    parser.add_argument("--references", type=bool, default=True, help="floor, rotation and ceiling of every score")
    parser.add_argument(
        "--standardise", type=bool, default=False, help="divide codes by the standard deviation of the widest latent"
    )
    parser.add_argument(
        "--bins",
        type=Literal["width", "quantile"],
        default="width",
        help="bins of equal width, or of equally many rows",
    )
    parser.add_argument(
        "--intervals", type=bool, default=False, help="add intervals over rows, or people: ten times as long"
    )
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="data to encode (default: those of the run)")
    given = parser.parse_args([*data_of_run(args), *args])
    if bool(given.checkpoints) == bool(given.codes):
        raise InputError("give evaluate either checkpoints or --codes FILE, not both")
    choice = Choice(
        given.quick, given.scores, given.references, given.standardise, given.bins == "quantile", given.intervals
    )
    if given.codes:
        evaluate_files(given.codes, given.out, factors=given.factors, kinds=given.kinds, test=given.test, choice=choice)
        return
    if given.test or given.factors or given.kinds:
        raise InputError("--test, --factors and --kinds belong to --codes: the data of a run know their factors")
    missing = [path for path in given.checkpoints if not path.is_file()]
    if missing:
        raise InputError(f"there is no checkpoint at {missing[0]}: give the path of a .ckpt file of a run")
    if given.data is None:
        raise InputError("the run of the first checkpoint has no config.yaml beside it: give --data or --config")
    made: Namespace = parser.instantiate_classes(given)
    evaluate_models(given.checkpoints, made.data, given.out, choice=choice)


def study_meta_transfer(args: Sequence[str]) -> None:
    """Learn a causal direction and a rotation from how fast models adapt."""
    parser = verb_parser("meta-transfer", "Learn a causal direction and a rotation from how fast models adapt.")
    parser.add_function_arguments(meta_transfer)
    meta_transfer(**parser.parse_args(list(args)).as_dict())


def sweep(args: Sequence[str]) -> None:
    """Run a W&B sweep file on this machine.

    Examples:
        disentangle-pl sweep sweeps/sprites_beta.yaml --parallel 2
        disentangle-pl sweep sweeps/sprites_beta.yaml --dry_run=true
    """
    parser = verb_parser(
        "sweep",
        "Run a W&B sweep file on this machine: no account, no network. The same command goes on after any kill.",
        sweep.__doc__,
    )
    parser.add_argument("file", type=Path, help="a W&B sweep file: grid, random or bayes, with early termination")
    parser.add_argument("--count", type=int | None, help="runs in all, those of earlier calls included")
    parser.add_argument("--parallel", type=int, default=1, help="runs at a time, each with its share of cores and GPUs")
    parser.add_argument("--out", type=Path | None, help="folder of runs and results (default: runs/<name of the file>)")
    parser.add_argument("--retry", type=bool, default=False, help="start runs again that have failed or crashed")
    parser.add_argument("--dry_run", type=bool, default=False, help="only check the file and say what would run")
    given = parser.parse_args(list(args)).as_dict()
    sys.exit(sweep_here(given.pop("file"), check_arguments, **given))


def runs(args: Sequence[str]) -> None:
    """Gather many runs into one table, best first.

    Examples:
        disentangle-pl runs runs/
        disentangle-pl runs export.csv --metric val/nll --goal minimize
        disentangle-pl runs runs/zoo --by model model.aggregation --udr=true --plots=true
    """
    parser = verb_parser(
        "runs", "Gather runs, wherever they lie, into one table: settings, states, scores.", runs.__doc__
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, folders of them, exports of W&B (CSV, JSON)")
    parser.add_argument("--metric", type=str, default="disentanglement/mig", help="rank by this; best/NAME: best value")
    parser.add_argument("--goal", type=Goal, default="maximize", help="what a better score is")
    parser.add_argument("--by", nargs="+", type=str, default=[], help="settings that make a group; none: all but seed")
    parser.add_argument("--udr", type=bool, default=False, help="rank settings without ground truth: do seeds agree?")
    parser.add_argument("--plots", type=bool, default=False, help="pictures of the settings that vary")
    parser.add_argument("--out", type=Path, default=Path("runs-table"), help="where the tables go")
    parser.add_argument("--all", type=bool, default=False, help="print all runs, settings and scores")
    given = parser.parse_args(list(args)).as_dict()
    report_runs(given.pop("runs"), given.pop("out"), everything=given.pop("all"), **given)


def study_sparsity(args: Sequence[str]) -> None:
    """Compare masked runs with dense ones and with random masks.

    Examples:
        disentangle-pl sparsity runs/sparsity_small
        disentangle-pl sparsity runs/sparsity_small runs/more --scores mig sap --out study
        disentangle-pl sparsity runs/sparsity_small --control study/control
    """
    does = "Does sparsity disentangle? Scores of masked runs against strength, achieved density and reconstruction."
    parser = verb_parser("sparsity", does, study_sparsity.__doc__)
    parser.add_argument(
        "runs", nargs="+", type=Path, help="run folders, folders of them, exports: masked, dense, random"
    )
    parser.add_argument("--scores", nargs="+", type=str, default=list(MAIN), help="scores to compare")
    parser.add_argument("--out", type=Path, default=Path("sparsity"), help="where tables and pictures go")
    parser.add_argument(
        "--control", type=Path | None, help="also write sweeps of random masks as dense in every layer, in this folder"
    )
    given = parser.parse_args(list(args))
    report_sparsity(given.runs, given.out, given.scores, given.control)


def shrink(args: Sequence[str]) -> None:
    """Remove what cannot act from a sparse model.

    Examples:
        disentangle-pl compact runs/sparse/checkpoints/last.ckpt
        disentangle-pl compact runs/sparse/checkpoints/last.ckpt --out small.ckpt --batch_size 1
    """
    does = "Write a smaller checkpoint that computes what a sparse one computes, and report what it saves."
    parser = verb_parser("compact", does, shrink.__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a masked model")
    parser.add_argument("--out", type=Path | None, help="the new checkpoint (default: compact.ckpt beside the old one)")
    parser.add_argument("--batch_size", type=int, default=64, help="images of a timed batch")
    parser.add_argument("--repeats", type=int, default=20, help="timed batches")
    parser.add_argument("--seed", type=int, default=0, help="of the images that are compared")
    parser.add_argument("--onnx", type=bool, default=True, help="write encoder and decoder as ONNX beside it")
    given = parser.parse_args(list(args)).as_dict()
    checkpoint, out = given.pop("checkpoint"), given.pop("out")
    compact(checkpoint, out or checkpoint.with_name("compact.ckpt"), **given)


VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    "compact": shrink,
    "counterfactual": counterfactuals,
    "evaluate": evaluate,
    "explore": explore,
    "gwas": gwas,
    "impossibility": impossibility,
    "latents": latents,
    "meta-transfer": study_meta_transfer,
    "predict-scores": predict_scores,
    "prepare": prepare,
    "report": report,
    "runs": runs,
    "scans": scans,
    "simulate": simulated_cohort,
    "sparsity": study_sparsity,
    "study": study,
    "sweep": sweep,
    "traverse": traversals,
    "variance": variance,
}
