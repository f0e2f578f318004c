"""The parameters of a W&B sweep: what a key may be, and how a value is drawn."""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from scipy import stats

from disentangle_pl.errors import InputError

Quantile = Callable[[float], Any]
REQUIRED: Any = object()


class Parameter(NamedTuple):
    """One key of the search space.

    Attributes:
        key: The flag, dotted, without the two hyphens.
        values: The choices; one for a constant, None for a continuous or integer range.
        weights: How likely each choice is in a random search.
        quantile: Maps u in [0, 1] to a value, u uniform; None for choices.
        grid: The values that a grid visits, or None where there is no end to them.
    """

    key: str
    values: tuple[Any, ...] | None
    weights: tuple[float, ...] | None
    quantile: Quantile | None
    grid: tuple[Any, ...] | None

    @property
    def constant(self) -> bool:
        """Whether there is nothing to search."""
        return self.values is not None and len(self.values) == 1

    def coordinate(self, u: float) -> float:
        """Map u in [0, 1), uniform, to the index of a choice; the coordinate of a range is u itself."""
        if self.values is None:
            return u
        weights = self.weights or (1 / len(self.values),) * len(self.values)
        reached = itertools.accumulate(weights)
        return next((index for index, end in enumerate(reached) if u < end), len(self.values) - 1)

    def at(self, coordinate: float, choices: tuple[Any, ...] | None) -> Any:
        """Return the value at a coordinate, which counts the choices or else is a quantile."""
        if choices is not None:
            return choices[int(coordinate)]
        assert self.quantile is not None  # only choices have none
        return self.quantile(coordinate)


class Range(NamedTuple):
    """A family of distributions of W&B: its settings with their defaults, and its quantile function."""

    settings: dict[str, Any]
    quantile: Callable[..., Quantile]


def read_parameter(key: str, spec: Any) -> Parameter:
    """Read one entry of `parameters` of a W&B sweep file.

    Args:
        key: Its name.
        spec: `{value: 3}`, `{values: [1, 2]}`, `{min: 0, max: 1}`, or any `distribution` that W&B knows.

    Raises:
        InputError: If W&B, or the command line of the runs, would not understand it.
    """
    if not isinstance(spec, dict) or "parameters" in spec:
        raise InputError(
            f"parameter {key} of the sweep must be a mapping such as {{values: [1, 2]}}, with dotted keys instead of "
            "nested `parameters`: write model.beta: {values: [...]}"
        )
    name = spec.get("distribution")
    if "value" in spec:
        return _choices(key, [spec["value"]], None)
    if "values" in spec:
        return _choices(key, spec["values"], spec.get("probabilities"))
    if name is None:
        whole = all(type(spec.get(end)) is int for end in ("min", "max"))
        name = "int_uniform" if whole else "uniform"
    if name not in RANGES:
        raise InputError(f"parameter {key} of the sweep has distribution {name!r}: choose one of {', '.join(RANGES)}")
    return _range(key, name, spec)


def _choices(key: str, values: Any, weights: Any) -> Parameter:
    if not isinstance(values, list) or not values:
        raise InputError(f"parameter {key} of the sweep has values {values!r}: give a list of at least one")
    if any(value is None for value in values):
        raise InputError(f'parameter {key} of the sweep has a null, which arrives as "None": write the string "null"')
    if weights is None:
        return Parameter(key, tuple(values), None, None, tuple(values))
    if len(weights) != len(values) or min(weights) < 0 or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise InputError(f"parameter {key} of the sweep needs one probability for each of its values, of sum 1")
    return Parameter(key, tuple(values), tuple(weights), None, None)


def _range(key: str, name: str, spec: dict[str, Any]) -> Parameter:
    family = RANGES[name]
    given = {setting: spec.get(setting, default) for setting, default in family.settings.items()}
    missing = [setting for setting, value in given.items() if value is REQUIRED]
    wrong = [setting for setting, value in given.items() if value is not REQUIRED and not _is_number(value)]
    if missing or wrong:
        raise InputError(f"parameter {key} of the sweep ({name}) needs a number for {', '.join(missing + wrong)}")
    backwards = "min" in given and given["min"] > given["max"]
    outside = name.endswith("_values") and given["min"] <= 0
    if backwards or outside or given.get("q", 1) <= 0 or given.get("sigma", 1) <= 0:
        raise InputError(f"parameter {key} of the sweep ({name}) has an impossible range: {given}")
    quantile = family.quantile(**given)
    grid = None
    if name == "int_uniform":
        grid = tuple(range(given["min"], given["max"] + 1))
    elif name == "q_uniform":
        # as W&B's engine: the upper end is left out
        steps = math.ceil((given["max"] - given["min"]) / given["q"] - 1e-9)
        grid = tuple(given["min"] + step * given["q"] for step in range(steps))
    return Parameter(key, None, None, quantile, grid)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _uniform(min: float, max: float) -> Quantile:  # noqa: A002 - the names of W&B
    return lambda u: min + u * (max - min)


def _int_uniform(min: int, max: int) -> Quantile:  # noqa: A002
    return lambda u: min + math.ceil(u * (max + 1 - min) or 1) - 1


def _log_uniform(min: float, max: float) -> Quantile:  # noqa: A002
    return lambda u: math.exp(min + u * (max - min))


def _inv_log_uniform(min: float, max: float) -> Quantile:  # noqa: A002
    return lambda u: math.exp(-(min + (1 - u) * (max - min)))


def _log_uniform_values(min: float, max: float) -> Quantile:  # noqa: A002
    return _log_uniform(math.log(min), math.log(max))


def _of_scipy(distribution: Any) -> Quantile:
    return lambda u: float(distribution.ppf(u))


def _normal(mu: float, sigma: float) -> Quantile:
    return _of_scipy(stats.norm(mu, sigma))


def _log_normal(mu: float, sigma: float) -> Quantile:
    return _of_scipy(stats.lognorm(s=sigma, scale=math.exp(mu)))


def _beta(a: float, b: float) -> Quantile:
    return _of_scipy(stats.beta(a, b))


def _rounded(quantile: Callable[..., Quantile]) -> Callable[..., Quantile]:
    def make(q: float, **settings: float) -> Quantile:
        raw = quantile(**settings)

        def rounded(u: float) -> float:
            # an integer q gives integers, a float q floats, as in W&B
            return float(round(raw(u) / q) * q) if isinstance(q, float) else round(raw(u) / q) * q

        return rounded

    return make


ENDS = {"min": REQUIRED, "max": REQUIRED}
BELL = {"mu": 0.0, "sigma": 1.0}
SHAPE = {"a": 1, "b": 1}
STEP = {"q": 1.0}
RANGES = {
    "uniform": Range(ENDS, _uniform),
    "int_uniform": Range(ENDS, _int_uniform),
    "q_uniform": Range(ENDS | STEP, _rounded(_uniform)),
    "log_uniform": Range(ENDS, _log_uniform),
    "log_uniform_values": Range(ENDS, _log_uniform_values),
    "q_log_uniform": Range(ENDS | STEP, _rounded(_log_uniform)),
    "q_log_uniform_values": Range(ENDS | STEP, _rounded(_log_uniform_values)),
    "inv_log_uniform": Range(ENDS, _inv_log_uniform),
    "inv_log_uniform_values": Range(ENDS, _log_uniform_values),
    "normal": Range(BELL, _normal),
    "q_normal": Range(BELL | STEP, _rounded(_normal)),
    "log_normal": Range(BELL, _log_normal),
    "q_log_normal": Range(BELL | STEP, _rounded(_log_normal)),
    "beta": Range(SHAPE, _beta),
    "q_beta": Range(SHAPE | STEP, _rounded(_beta)),
}
