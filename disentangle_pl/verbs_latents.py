"""The verbs of the command line that say and show what latents do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.counterfactual import Question, ask
from disentangle_pl.studies.counterfactual_check import check
from disentangle_pl.studies.harmonisation import Harmonisation
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
        disentangle-pl latents last.ckpt --combat.batch=site --combat.covariates=[age,sex] --combat.controls=CN
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
    parser.add_class_arguments(Harmonisation, "combat")
    given, data = _parsed(parser, args)
    harmonisation = Harmonisation(**given.combat.as_dict())
    report_latents(given.checkpoints, data, given.out, given.part, given.apart, harmonisation)


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


def counterfactuals(args: Sequence[str]) -> None:
    """Show a scan with other latents, or years later.

    Examples:
        disentangle-pl counterfactual runs/mine/checkpoints/last.ckpt --subject sub-001 --years 5
        disentangle-pl counterfactual last.ckpt --subject sub-001 --session ses-M012 --set 3=1.5 7=0
        disentangle-pl counterfactual last.ckpt --subject sub-001 --swap sub-002 --latents 3 7
        disentangle-pl counterfactual last.ckpt --group AD
    """
    does = (
        "A scan as the model would have it years later, or with other latents, and without --subject how far such "
        "answers can be trusted: soundness, and the follow-ups of held-out people against no change and the mean "
        "change. Associations, not causes; not for clinical use."
    )
    parser = verb_parser("counterfactual", does, counterfactuals.__doc__)
    parser.add_argument("checkpoints", nargs=1, type=Path, metavar="checkpoint", help="of a model of brain scans")
    parser.add_argument("--subject", type=str | None, help="whose scan; without it the model is checked")
    parser.add_argument("--session", type=str | None, help="which scan (default: the first)")
    parser.add_argument("--years", type=float | None, help="make the scan so many years older (or younger, below 0)")
    parser.add_argument("--set", nargs="+", type=str, default=[], metavar="LATENT=VALUE", help="latents to set")
    parser.add_argument("--swap", type=str | None, help="a subject to take --latents from")
    parser.add_argument("--latents", nargs="+", type=int, default=[], help="the latents to take")
    parser.add_argument("--group", type=str, default="CN", help="diagnosis of the training scans whose ageing is used")
    parser.add_argument("--level", type=float, default=0.05, help="false discovery rate up to which a latent ages")
    parser.add_argument("--out", type=Path, default=Path("counterfactual"), help="where pictures and volumes go")
    given, data = _parsed(parser, args)
    if not isinstance(data, LongitudinalData):
        raise InputError(f"counterfactual takes models of brain scans, and {type(data).__name__} has none")
    asked = (given.session, given.years, given.swap, *given.set, *given.latents)
    if given.subject is None and any(value is not None for value in asked):
        raise InputError("counterfactual needs --subject, whose scan is to change; without any of these it checks")
    how = {"group": given.group, "level": given.level}
    question = given.subject and Question(
        given.subject, given.session, given.years, _values(given.set), given.swap, given.latents
    )
    model = load_model(given.checkpoints[0]).to("cuda" if torch.cuda.is_available() else "cpu")
    if question:
        ask(model, data, question, given.out, **how)
    else:
        check(model, data, given.out, **how)


def _values(pairs: Sequence[str]) -> dict[int, float]:
    """Read latents and values from texts such as 3=1.5."""
    values = {}
    for pair in pairs:
        latent, _, value = pair.partition("=")
        try:
            values[int(latent)] = float(value)
        except ValueError as error:
            raise InputError(f"--set takes LATENT=VALUE, such as 3=1.5, and {pair!r} is none") from error
    return values


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
