"""What the verb `gwas` needs of a model: its latents as phenotypes, and the flags for them; it loads torch."""

from collections.abc import Sequence
from typing import Any

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.people import joined_covariates, read_people
from disentangle_pl.studies.gwas_codes import Codes, phenotypes_of
from disentangle_pl.studies.gwas_inputs import Phenotyped
from disentangle_pl.studies.harmonisation import Harmonisation
from disentangle_pl.studies.harmonisation import write_lines as write_lines  # the verb writes them beside the study
from disentangle_pl.verb_parser import VerbParser, data_of_run


def parse(parser: VerbParser, args: Sequence[str]) -> Any:
    """Parse the arguments of `gwas` together with those of scans and of what takes sites out of latents."""
    parser.add_class_arguments(Harmonisation, "combat")
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="scans of --checkpoint (default: the run's)")
    spaced = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--checkpoint=") else [arg])]
    return parser.parse_args([*data_of_run(spaced), *args])


def phenotypes(given: Any, parser: VerbParser) -> Phenotyped:
    """Make phenotypes and covariates of the latents of a model.

    Args:
        given: Arguments, of `parse`.
        parser: Which makes objects of them.

    Raises:
        InputError: If there is no checkpoint or no data, or as `phenotypes_of`.
    """
    if not given.checkpoint.is_file():
        raise InputError(f"there is no checkpoint at {given.checkpoint}: give the path of a .ckpt file of a run")
    if given.data is None:
        raise InputError("the run of the checkpoint has no config.yaml beside it: give --data or --config")
    made: Any = parser.instantiate_classes(given)
    if isinstance(made.data, LongitudinalData):
        made.data.withdrawn = made.data.withdrawn or given.withdrawn  # nor does ComBat learn of them
    codes = Codes(given.checkpoint, given.summary, given.with_training, Harmonisation(**given.combat.as_dict()))
    latents = phenotypes_of(codes, made.data, given.out)
    if given.covariates is None:
        return latents
    covariates = read_people(given.covariates)
    if latents.covariates is None:
        return latents._replace(covariates=covariates)
    covariates, remarks = joined_covariates(latents.covariates, covariates)
    return latents._replace(covariates=covariates, remarks=[*latents.remarks, *remarks])
