"""The verb of the command line that predicts dementia scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.studies.clinical import report_clinical
from disentangle_pl.studies.clinical_ahead import Records
from disentangle_pl.studies.clinical_known import Settings
from disentangle_pl.studies.clinical_people import HeldOut, Protocol
from disentangle_pl.studies.clinical_targets import CONVERSION
from disentangle_pl.studies.harmonisation import Harmonisation
from disentangle_pl.verb_parser import data_of_run, verb_parser


def predict_scores(args: Sequence[str]) -> None:
    """Predict dementia scores from latents.

    Examples:
        disentangle-pl predict-scores runs/ada/checkpoints/last.ckpt --data.root=scans.tsv
        disentangle-pl predict-scores runs/ada-*/checkpoints/last.ckpt --baseline runs/beta-*/checkpoints/last.ckpt
        disentangle-pl predict-scores last.ckpt --protocol train-test --data.truth=volumes.csv --targets mmse cn_ad
        disentangle-pl predict-scores last.ckpt --clinical ADNIMERGE.csv --mapping adnimerge
        disentangle-pl predict-scores last.ckpt --residualise age sex --boosting=true
        disentangle-pl predict-scores last.ckpt --refitted=true
        disentangle-pl predict-scores last.ckpt --combat.batch=site --combat.covariates=[age,sex] --combat.controls=CN
    """
    does = (
        "Predict scores, diagnoses, conversion and later scores of people no encoder has seen from frozen latents, "
        "beside covariates, volumes, principal components and a baseline model; say how reliable latents are as "
        "measures, and report what TRIPOD+AI asks: predictions, calibration, decision curves, subgroups, people lost. "
        "The same command goes on after a kill. Associations; not for clinical use."
    )
    parser = verb_parser("predict-scores", does, predict_scores.__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="checkpoints; several are grouped over their seeds")
    parser.add_argument("--baseline", nargs="+", type=Path, default=[], help="checkpoints of the model to compare with")
    parser.add_argument("--targets", nargs="+", type=str, default=[], help="which (default: all that the tables have)")
    parser.add_argument(
        "--protocol",
        type=Protocol,
        default="held-out",
        help="cross-validate held-out people, or fit to the encoder's training people and test held-out ones",
    )
    parser.add_argument(
        "--clinical", nargs="+", type=Path, default=[], help="tables of visits without a scan, for what is to come"
    )
    parser.add_argument("--mapping", nargs="+", type=str, default=[], help="of each, as disentangle-pl scans takes it")
    parser.add_argument("--part", type=HeldOut, default="test", help="which of the held-out people")
    parser.add_argument("--folds", type=int, default=5, help="of people")
    parser.add_argument("--repeats", type=int, default=5, help="times the folds are dealt anew")
    parser.add_argument("--seed", type=int, default=0, help="of folds and bootstraps")
    parser.add_argument(
        "--volumes", nargs="+", type=str, default=[], help="columns (default: those named like volumes)"
    )
    parser.add_argument(
        "--residualise", nargs="+", type=str, default=[], help="confounds to take out as training controls have them"
    )
    parser.add_argument("--boosting", type=bool, default=False, help="also fit gradient-boosted trees")
    parser.add_argument(
        "--refitted",
        type=bool,
        default=False,
        help="also intervals over people to train on, all probes fitted anew: ten times as long (--protocol held-out)",
    )
    parser.add_argument("--conversion", type=float, default=CONVERSION, help="years within which MCI becomes dementia")
    parser.add_argument("--out", type=Path, default=Path("predict-scores"), help="where report and tables go")
    parser.add_class_arguments(Harmonisation, "combat")
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="data to encode (default: those of the run)")
    given = parser.parse_args([*data_of_run(args), *args])
    missing = [path for path in (*given.checkpoints, *given.baseline) if not path.is_file()]
    if missing:
        raise InputError(f"there is no checkpoint at {missing[0]}: give the path of a .ckpt file of a run")
    if given.data is None:
        raise InputError("the run of the first checkpoint has no config.yaml beside it: give --data or --config")
    if given.folds < 2 or given.repeats < 1 or given.conversion <= 0:
        raise InputError(
            f"--folds {given.folds}, --repeats {given.repeats} and --conversion {given.conversion:g} must be at least "
            "2, at least 1 and above 0"
        )
    if given.refitted and given.protocol != "held-out":
        raise InputError("--refitted=true leaves people out of cross-validation: give it with --protocol held-out")
    made: Any = parser.instantiate_classes(given)
    if not isinstance(made.data, LongitudinalData):
        raise InputError(f"predict-scores takes models of brain scans, and {type(made.data).__name__} has none")
    settings = Settings(
        targets=given.targets,
        protocol=given.protocol,
        part=given.part,
        plan=Plan(folds=given.folds, repeats=given.repeats, seed=given.seed),
        volumes=given.volumes,
        residualise=given.residualise,
        boosting=given.boosting,
        refitted=given.refitted,
        conversion=given.conversion,
        records=Records(given.clinical, given.mapping),
        harmonisation=Harmonisation(**given.combat.as_dict()),
    )
    report_clinical(given.checkpoints, made.data, given.out, given.baseline, settings)
