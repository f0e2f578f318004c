"""The verb of the command line that measures directions of variance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.variance_factors import Plan
from disentangle_pl.studies.variance_report import report_variance
from disentangle_pl.verb_parser import data_of_run, verb_parser


def variance(args: Sequence[str]) -> None:
    """Measure into which directions factors move images, and whether they do so alike everywhere.

    Examples:
        disentangle-pl variance --config configs/data/colour_size.yaml
        disentangle-pl variance --data=SyntheticData --data.dataset=disentangle_pl.data.variance_toys.ColourSize
        disentangle-pl variance --checkpoint runs/mine/checkpoints/last.ckpt --out mine
        disentangle-pl variance --config configs/data/blocks3d.yaml --exact=false --anchors 512
        disentangle-pl variance --codes codes.npz
        disentangle-pl variance --gaussians=true
    """
    does = (
        "How much variance every factor of a data set induces, whether amount and direction are the same everywhere, "
        "and whether principal components coincide with factors, locally and globally; with a checkpoint also how "
        "factors are spread over latents, whether the same latents encode them everywhere, and the directions of the "
        "decoder."
    )
    parser = verb_parser("variance", does, variance.__doc__)
    parser.add_argument("--checkpoint", type=Path | None, help="a model to measure too")
    parser.add_argument(
        "--codes",
        type=Path | None,
        help="an .npz with codes (N, d) and factors (N, k) of a whole grid instead",
    )
    parser.add_argument("--out", type=Path, default=Path("variance"), help="where tables and pictures go")
    parser.add_argument(
        "--exact",
        type=bool | None,
        help="read every image for the variances (default: unless they hold more than 4e9 numbers)",
    )
    parser.add_argument("--anchors", type=int, default=256, help="anchors of a factor where the grid is sampled")
    parser.add_argument("--memory", type=int, default=512, help="MiB of images held at a time")
    parser.add_argument("--seed", type=int, default=0, help="of anchors and bootstraps")
    parser.add_argument(
        "--gaussians", type=bool, default=False, help="also draw two Gaussians and their principal components"
    )
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(
        ImageData, "data", required=False, help="data with known factors (default: those of the run of the checkpoint)"
    )
    given = parser.parse_args([*_data(args), *args])
    if given.codes is not None and (given.data is not None or given.checkpoint is not None):
        raise InputError("give variance either --codes or data and a --checkpoint, not both")
    alone = given.checkpoint is None and (given.gaussians or given.codes is not None)
    if given.data is None and not alone:
        raise InputError("variance needs data: give --data or --config, or a --checkpoint with config.yaml in its run")
    if given.anchors < 8 or given.memory < 1:
        raise InputError(f"--anchors {given.anchors} must be at least 8 and --memory {given.memory} at least 1")
    made: Any = parser.instantiate_classes(given)
    model = None
    if given.checkpoint is not None:
        model = load_model(given.checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    plan = Plan(anchors=given.anchors, memory=given.memory, seed=given.seed)
    report_variance(
        made.data,
        given.out,
        model=model,
        codes=given.codes,
        plan=plan,
        exact=given.exact,
        gaussians=given.gaussians,
    )


def _data(args: Sequence[str]) -> list[str]:
    """Return the data of the run of the checkpoint, which may be written --checkpoint=FILE."""
    return data_of_run([arg.removeprefix("--checkpoint=") for arg in args])
