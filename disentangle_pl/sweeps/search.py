"""Which point of the search space comes next."""

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna

from disentangle_pl.sweeps.parameters import Parameter
from disentangle_pl.sweeps.sweep_file import Sweep

Point = dict[str, Any]
GOLDEN = 0.618  # its multiples fill [0, 1) evenly


class Seen(NamedTuple):
    """What a search knows of a run.

    Attributes:
        point: Where it is: the index of each choice, and u in [0, 1] for each range.
        loss: Its best value so far, smaller is better; None if it has none.
        running: Whether it may still get one.
    """

    point: Point
    loss: float | None
    running: bool


class Search(ABC):
    """Proposes one point after another; depends on nothing but what has been seen, so that it can go on after a kill.

    Args:
        sweep: The sweep.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep

    @abstractmethod
    def propose(self, seen: Sequence[Seen]) -> Point | None:
        """Return the point after `seen`, or None when there is none left."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many points there are, or None for no end."""

    @abstractmethod
    def locate(self, point: Point, values: dict[str, Any]) -> Point | None:
        """Return where a run of an earlier call lies, by where it lay and its values; None if it lies here no more."""

    @abstractmethod
    def choices(self, parameter: Parameter) -> tuple[Any, ...] | None:
        """Return the values that a coordinate counts, or None if the coordinate is a quantile."""

    def values(self, point: Point) -> dict[str, Any]:
        """Return the value of every key at a point, in the order of the flags; constants are not in the point."""
        return {
            parameter.key: parameter.at(point.get(parameter.key, 0), self.choices(parameter))
            for parameter in self.sweep.parameters
        }

    def sample(self, number: int) -> Point:
        """Return one of a series of points in which every key soon takes each of its values; the last is -1."""
        point: Point = {}
        for parameter in self.sweep.searched:
            choices = self.choices(parameter)
            point[parameter.key] = number % len(choices) if choices else (0.5 + number * GOLDEN) % 1
        return point


class Grid(Search):
    """Every combination once; the last key in the alphabet varies fastest, as in W&B."""

    def propose(self, seen: Sequence[Seen]) -> Point | None:
        """Return the first combination that no run has."""
        visited = {tuple(run.point.items()) for run in seen}
        return next((point for point in self._points() if tuple(point.items()) not in visited), None)

    def locate(self, point: Point, values: dict[str, Any]) -> Point | None:
        """Return the combination of the values: others may have been added to the grid, or taken away."""
        grids = {parameter.key: list(parameter.grid or ()) for parameter in self.sweep.parameters}
        if grids.keys() != values.keys() or not all(values[key] in grid for key, grid in grids.items()):
            return None
        first = {parameter.key: grids[parameter.key].index(values[parameter.key]) for parameter in self.sweep.searched}
        stays = all(point.get(key, -1) in range(len(grids[key])) for key in first)
        same = stays and all(grids[key][point[key]] == values[key] for key in first)
        return {key: point[key] for key in first} if same else first

    @property
    def size(self) -> int | None:
        """The number of combinations."""
        return int(np.prod([len(parameter.grid or ()) for parameter in self.sweep.searched]))

    def choices(self, parameter: Parameter) -> tuple[Any, ...] | None:
        """Return the values on the grid."""
        return parameter.grid

    def _points(self) -> Iterator[Point]:
        keys = [parameter.key for parameter in self.sweep.searched]
        ranges = (range(len(parameter.grid or ())) for parameter in self.sweep.searched)
        return (dict(zip(keys, combination, strict=True)) for combination in itertools.product(*ranges))


class Random(Search):
    """Independent draws; the n-th is the same whenever it is drawn."""

    def propose(self, seen: Sequence[Seen]) -> Point | None:
        """Draw the next point."""
        uniform = np.random.default_rng([len(seen), *self.sweep.name.encode()]).random(len(self.sweep.searched))
        return {
            parameter.key: parameter.coordinate(float(u))
            for parameter, u in zip(self.sweep.searched, uniform, strict=True)
        }

    def locate(self, point: Point, values: dict[str, Any]) -> Point | None:
        """Return the point: the space stays as it is."""
        return point

    @property
    def size(self) -> int | None:
        """There is no end."""
        return None

    def choices(self, parameter: Parameter) -> tuple[Any, ...] | None:
        """Return the values of a list; ranges have none."""
        return parameter.values


class Bayes(Search):
    """Tree-structured Parzen estimators of Optuna, in the quantiles of every range, so that its prior is W&B's.

    W&B itself models the metric by a Gaussian process; both are given the best value of every run, and runs that fail
    count as bad. The study is rebuilt from what has been seen at every proposal.

    Source: Bergstra et al. 2011; Watanabe 2023 (arXiv:2304.11127); Optuna (Akiba et al. 2019, arXiv:1907.10902).
    """

    STARTUP = 10

    def propose(self, seen: Sequence[Seen]) -> Point | None:
        """Ask Optuna for the next point."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=len(seen), multivariate=True, constant_liar=True, n_startup_trials=self.STARTUP
            )
            study = optuna.create_study(sampler=sampler)
            space = {parameter.key: _distribution(parameter) for parameter in self.sweep.searched}
            worst = max((run.loss for run in seen if run.loss is not None), default=None)
            for run in seen:
                study.add_trial(_trial(run, space, worst))
            return dict(study.ask(space).params)

    def locate(self, point: Point, values: dict[str, Any]) -> Point | None:
        """Return the point: the space stays as it is."""
        return point

    @property
    def size(self) -> int | None:
        """There is no end."""
        return None

    def choices(self, parameter: Parameter) -> tuple[Any, ...] | None:
        """Return the values of a list; ranges have none."""
        return parameter.values


def make_search(sweep: Sweep) -> Search:
    """Make the search that a sweep asks for by its `method`."""
    searches: dict[str, type[Search]] = {"grid": Grid, "random": Random, "bayes": Bayes}
    return searches[sweep.method](sweep)


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    if parameter.values is not None:
        return optuna.distributions.CategoricalDistribution(range(len(parameter.values)))
    # the ends of an unbounded range are infinite
    return optuna.distributions.FloatDistribution(1e-6, 1 - 1e-6)


def _trial(
    run: Seen, space: dict[str, optuna.distributions.BaseDistribution], worst: float | None
) -> optuna.trial.FrozenTrial:
    loss = run.loss if run.loss is not None or run.running else worst
    state = optuna.trial.TrialState.COMPLETE
    if loss is None:
        state = optuna.trial.TrialState.RUNNING if run.running else optuna.trial.TrialState.FAIL
    return optuna.trial.create_trial(state=state, params=run.point, distributions=space, value=loss)
