"""The verb of the command line that writes what one looks at after a training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.null import information_shares
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.reports.report import write_reports
from disentangle_pl.reports.run_details import LatentTable
from disentangle_pl.reports.volumes import folder_section, volumes_section
from disentangle_pl.runs import newest_checkpoint
from disentangle_pl.studies.codes import encode
from disentangle_pl.verb_parser import data_of_run, verb_parser


def report(args: Sequence[str]) -> None:
    """Write one page a run, or one that compares runs.

    Examples:
        disentangle-pl report runs/mine
        disentangle-pl report runs/compare --out comparison.html
        disentangle-pl report runs/ada-seed0 runs/ada-seed1 runs/beta-seed0 --images=false
        disentangle-pl report runs/mine --include latents counterfactual gwas --variance variance
        disentangle-pl report runs/mine --encode=true
        disentangle-pl report runs/brain --volumes=true
    """
    does = (
        "Write a page that opens from disk without a network: configuration, training curves, scores beside floor and "
        "ceiling, traversals, reconstructions, and what latents know of factors; of several runs, a comparison."
    )
    parser = verb_parser("report", does, report.__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, and folders of them; several are compared")
    parser.add_argument(
        "--out", type=Path | None, help="the page (default: report.html in the run, comparison.html here for several)"
    )
    parser.add_argument(
        "--images", type=bool, default=True, help="show pictures; false where the licence of data forbids thumbnails"
    )
    parser.add_argument(
        "--include",
        nargs="+",
        type=Path,
        default=[],
        help="folders of latents, traverse, counterfactual, gwas, predict-scores to show too",
    )
    parser.add_argument("--variance", type=Path | None, help="a folder of variance to show too")
    parser.add_argument(
        "--encode",
        type=bool,
        default=False,
        help="compute from the checkpoint of one run what its latents know of factors, if the run has not stored it",
    )
    parser.add_argument(
        "--volumes",
        type=bool,
        default=False,
        help="compute from the checkpoint of one run on volumes what its latents change, and two visits of a held-out "
        "person with their reconstructions, to scroll through in the page, and show the volumes in --include too",
    )
    given = parser.parse_args(list(args))
    include = [*([given.variance] if given.variance else []), *given.include]
    if given.volumes and not given.images:
        raise InputError("--volumes shows pictures and --images=false leaves them out: give one of them")
    information, volumes = None, []
    for name in ("encode", "volumes"):
        if getattr(given, name) and len(given.runs) > 1:
            raise InputError(f"--{name} takes one run, got {len(given.runs)}: give one, or leave it out")
    if given.encode or given.volumes:
        model, data = _trained(given.runs[0], "--encode" if given.encode else "--volumes")
        information = _information(model, data) if given.encode else None
        if given.volumes:
            folders = (folder_section(folder, number) for number, folder in enumerate(include))
            volumes = [volumes_section(model, data), *(section for section in folders if section)]
    write_reports(given.runs, given.out, images=given.images, include=include, information=information, volumes=volumes)


def _information(model: VAE, data: ImageData) -> LatentTable:
    """Encode the validation images, and say what latents know of them."""
    table = encode(model, data)
    shares = information_shares(table.codes, table.factors)
    return LatentTable(table.names, {f"z{i}": row.tolist() for i, row in enumerate(shares)})


def _trained(folder: Path, flag: str) -> tuple[VAE, ImageData]:
    """Load the newest model of a run, and the data it was trained on."""
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        raise InputError(f"{folder} has no checkpoint to encode images with: leave {flag} out")
    parser = verb_parser("report", "")
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ImageData, "data", required=False)
    given = parser.parse_args(data_of_run([str(checkpoint)]))
    if given.data is None:
        raise InputError(f"{folder} has no config.yaml that names its data: leave {flag} out")
    made: Any = parser.instantiate_classes(given)
    model = load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")
    return model, made.data
