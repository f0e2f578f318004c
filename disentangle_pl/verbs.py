"""The verbs of the command line that work on trained models, beside fit, validate, test and predict."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace

from disentangle_pl.brain.longitudinal import LongitudinalData  # noqa: F401 - lets --data=LongitudinalData be short
from disentangle_pl.data.module import ImageData
from disentangle_pl.data.synthetic import SyntheticData  # noqa: F401 - likewise
from disentangle_pl.errors import InputError, leave, one_line
from disentangle_pl.studies.evaluate import evaluate_file, evaluate_models
from disentangle_pl.studies.meta_transfer import meta_transfer


class VerbParser(ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong and leave with exit code 2; a parser inside another one raises instead."""
        if not self.exit_on_error:
            super().error(message, ex)
        leave(f"{one_line(message)} (see {self.prog} --help)")


def evaluate(args: Sequence[str]) -> None:
    """Score checkpoints, or codes from any other program.

    Examples:
        disentangle-pl evaluate runs/mine/checkpoints/last.ckpt
        disentangle-pl evaluate runs/*/checkpoints/last.ckpt --data.eval_size=5000
        disentangle-pl evaluate --codes codes.npz
    """
    parser = _parser("evaluate", "Score checkpoints, or codes from any other program, on all scores at once.")
    parser.add_argument("checkpoints", nargs="*", type=Path, help="checkpoints; several are compared and ranked")
    parser.add_argument("--codes", type=Path | None, help="an .npz with codes (N, d) and factors (N, k) instead")
    parser.add_argument("--out", type=Path, default=Path("evaluation"), help="where the results go")
    parser.add_argument("--quick", type=bool, default=False, help="only the scores that take a second")
    parser.add_argument("--references", type=bool, default=True, help="floor, rotation and ceiling of every score")
    parser.add_argument("--config", action="config", help="a YAML file with `data`")
    parser.add_subclass_arguments(ImageData, "data", required=False, help="data to encode (default: those of the run)")
    given = parser.parse_args([*_data_of_run(args), *args])
    if bool(given.checkpoints) == (given.codes is not None):
        raise InputError("give evaluate either checkpoints or --codes FILE, not both")
    how: dict[str, Any] = {"quick": given.quick, "references": given.references}
    if given.codes is not None:
        evaluate_file(given.codes, given.out, **how)
        return
    missing = [path for path in given.checkpoints if not path.is_file()]
    if missing:
        raise InputError(f"there is no checkpoint at {missing[0]}: give the path of a .ckpt file of a run")
    if given.data is None:
        raise InputError("the run of the first checkpoint has no config.yaml beside it: give --data or --config")
    made: Namespace = parser.instantiate_classes(given)
    evaluate_models(given.checkpoints, made.data, given.out, **how)


def study_meta_transfer(args: Sequence[str]) -> None:
    """Learn a causal direction and a rotation from how fast models adapt."""
    parser = _parser("meta-transfer", "Learn a causal direction and a rotation from how fast models adapt.")
    parser.add_function_arguments(meta_transfer)
    meta_transfer(**parser.parse_args(list(args)).as_dict())


VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    "evaluate": evaluate,
    "meta-transfer": study_meta_transfer,
}


def _parser(verb: str, description: str) -> VerbParser:
    return VerbParser(prog=f"disentangle-pl {verb}", description=description)


def _data_of_run(args: Sequence[str]) -> list[str]:
    """Return a configuration with the data of the run of the first checkpoint, to merge under what the user gives."""
    named = next((Path(arg) for arg in args if not arg.startswith("-") and arg.endswith(".ckpt")), None)
    config = named.absolute().parent.parent / "config.yaml" if named else None
    if config is None or not config.is_file() or any(arg.split("=")[0] in ("--data", "--config") for arg in args):
        return []
    data = (yaml.safe_load(config.read_text()) or {}).get("data")
    return [f"--config={json.dumps({'data': data})}"] if data else []
