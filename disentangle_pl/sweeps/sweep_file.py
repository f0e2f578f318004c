"""A W&B sweep file, read and checked."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.sweeps.parameters import Parameter, read_parameter
from disentangle_pl.yaml_text import load_yaml

METHODS = ("grid", "random", "bayes")
KNOWN = {
    "name", "description", "program", "method", "metric", "parameters", "command", "run_cap", "early_terminate",
    "project", "entity",
}  # fmt: skip
DEFAULT_COMMAND = ["${env}", "${interpreter}", "${program}", "${args}"]


class Metric(NamedTuple):
    """What the sweep looks at.

    Attributes:
        name: A column of `metrics.csv`.
        sign: 1 if smaller is better, -1 if larger is.
        target: The sweep ends once a run has reached it; None for never.
    """

    name: str
    sign: int
    target: float | None

    @property
    def goal(self) -> str:
        """`minimize` or `maximize`."""
        return "minimize" if self.sign == 1 else "maximize"


class Hyperband(NamedTuple):
    """Early termination as W&B configures it.

    Attributes:
        bands: How many values of the metric a run has logged when it is judged.
        eta: The best 1 / eta of the runs go on.
        strict: Judge the value at the band; otherwise the best value so far.
    """

    bands: tuple[int, ...]
    eta: float
    strict: bool


class Sweep(NamedTuple):
    """A sweep: a question, as a search space and a command."""

    name: str
    method: str
    metric: Metric | None
    parameters: tuple[Parameter, ...]
    command: tuple[str, ...]
    program: str | None
    run_cap: int | None
    early_terminate: Hyperband | None
    source: dict[str, Any]

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that vary."""
        return tuple(parameter for parameter in self.parameters if not parameter.constant)


def read_sweep(path: Path) -> Sweep:
    """Read a W&B sweep file.

    Args:
        path: The YAML file.

    Returns:
        The sweep; its parameters in alphabetical order, as W&B passes them.

    Raises:
        InputError: If the file is missing or is not a sweep that can run here.
    """
    try:
        source = load_yaml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"there is no sweep file at {path}: give the path of a W&B sweep file") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML ({' '.join(str(error).split())}): correct it") from error
    if not isinstance(source, dict) or not isinstance(source.get("parameters"), dict) or not source["parameters"]:
        raise InputError(f"{path} is not a W&B sweep file: it needs `method` and a mapping `parameters`")
    unknown = sorted(map(str, source.keys() - KNOWN))
    if unknown:
        raise InputError(f"{path} has the key {unknown[0]}, which means nothing here: the keys are {sorted(KNOWN)}")
    if source.get("method") not in METHODS:
        raise InputError(f"{path} has method {source.get('method')!r}: choose one of {', '.join(METHODS)}")
    parameters = tuple(read_parameter(str(key), spec) for key, spec in sorted(source["parameters"].items()))
    metric = _metric(source.get("metric"), path)
    needs_metric = source["method"] == "bayes" or "early_terminate" in source
    if needs_metric and metric is None:
        raise InputError(f"{path} needs `metric: {{name: ..., goal: maximize}}` for bayes and for early_terminate")
    _check_method(source["method"], parameters, path)
    return Sweep(
        name=str(source.get("name") or path.stem),
        method=source["method"],
        metric=metric,
        parameters=parameters,
        command=_command(source.get("command"), path),
        program=source.get("program"),
        run_cap=_run_cap(source.get("run_cap"), path),
        early_terminate=_hyperband(source["early_terminate"], path) if "early_terminate" in source else None,
        source=source,
    )


def _check_method(method: str, parameters: tuple[Parameter, ...], path: Path) -> None:
    endless = [parameter.key for parameter in parameters if parameter.grid is None]
    if method == "grid" and endless:
        raise InputError(f"{path} has method grid, but {endless[0]} is not a list of values: give `values`")


def _metric(given: Any, path: Path) -> Metric | None:
    if given is None:
        return None
    goal = given.get("goal", "minimize") if isinstance(given, dict) else None
    target = given.get("target") if isinstance(given, dict) else None
    if goal not in ("minimize", "maximize") or not isinstance(given.get("name"), str):
        raise InputError(f"{path} has metric {given!r}: write {{name: disentanglement/mig, goal: maximize}}")
    if target is not None and not isinstance(target, int | float):
        raise InputError(f"{path} has metric target {target!r}: give a number")
    return Metric(given["name"], -1 if goal == "maximize" else 1, target)


def _command(given: Any, path: Path) -> tuple[str, ...]:
    if given is None:
        return tuple(DEFAULT_COMMAND)
    if not isinstance(given, list) or not given:
        raise InputError(f"{path} has command {given!r}: give a list, with ${{args}} as its last item")
    return tuple(map(str, given))


def _run_cap(given: Any, path: Path) -> int | None:
    if given is not None and (not isinstance(given, int) or given < 1):
        raise InputError(f"{path} has run_cap {given!r}: give a whole number above 0")
    return given


def _hyperband(given: Any, path: Path) -> Hyperband:
    """Read the bands, by their first (`min_iter`) or their last (`max_iter` and `s`) as W&B's engine does."""
    settings = given if isinstance(given, dict) else {}
    eta = settings.get("eta", 3)
    wrong = InputError(
        f"{path} has early_terminate {given!r}: write {{type: hyperband, min_iter: 3}}, or {{type: hyperband, "
        "max_iter: 27, s: 2}; eta must exceed 1"
    )
    first, last, count = (settings.get(name) for name in ("min_iter", "max_iter", "s"))
    if settings.get("type") != "hyperband" or not isinstance(eta, int | float) or eta <= 1:
        raise wrong
    if isinstance(last, int) and isinstance(count, int):
        bands = sorted(int(last / eta**step) for step in range(1, count + 1) if last / eta**step >= 1)
    elif isinstance(first, int) and first >= 1:
        bands = [int(first * eta**step) for step in range(100) if first * eta**step < 1e9]
    else:
        raise wrong
    if not bands:
        raise wrong
    return Hyperband(tuple(bands), eta, bool(settings.get("strict", True)))
