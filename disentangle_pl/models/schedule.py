"""Schedules of the learning rate, counted in steps of the optimiser."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from disentangle_pl.errors import InputError


class Schedule(ABC):
    """What the learning rates of an optimiser are multiplied by, from step to step; groups keep their ratios."""

    @abstractmethod
    def factors(self, total: float) -> Callable[[int], float]:
        """Return the function that gives the factor of a step from the number of steps made before it.

        Args:
            total: Steps of the whole training, infinite if nothing ends it.

        Raises:
            InputError: If the schedule needs an end and there is none.
        """


def warm_up_cosine(step: int, warm_up: int, total: float, final: float) -> float:
    """Return the factor of a learning rate; see `WarmUpCosine`.

    Args:
        step: t, steps made so far.
        warm_up: w, steps of the rise.
        total: T, steps until the fall ends.
        final: f_T, the factor at the end.
    """
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    share = min(1.0, (step - warm_up) / max(total - warm_up, 1))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class WarmUpCosine(Schedule):
    r"""Let the learning rate rise in `warm_up` steps and fall along half a cosine until the training ends.

    .. math::

        f(t) = \begin{cases}
        (t + 1) / (w + 1) & t < w \\
        f_T + (1 - f_T) \, \frac{1}{2} \big(1 + \cos(\pi \min(1, (t - w) / (T - w)))\big) & t \ge w
        \end{cases}

    after t of T steps, with `warm_up` w and `final` f_T.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983, eq. 5) without restarts; the rise is that of Goyal et al. 2017
    (arXiv:1706.02677, section 2.2).

    Args:
        warm_up: Steps of the rise; 0 starts with the full learning rate.
        steps: Steps until the fall ends, the rise included; null for those of the training, which a fit that goes on
            for longer stretches.
        final: Share of the learning rate that is left then; 1 for a rise alone.

    Raises:
        InputError: If warm_up or final is negative, final above 1, or steps not above warm_up.
    """

    warm_up: int = 0
    steps: int | None = None
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.warm_up < 0 or not 0 <= self.final <= 1:
            raise InputError(
                "a schedule needs warm_up of at least 0 steps and final from 0 to 1, got "
                f"model.scheduler.warm_up={self.warm_up} and model.scheduler.final={self.final}"
            )
        if self.steps is not None and self.steps <= self.warm_up:
            raise InputError(
                f"a schedule of model.scheduler.steps={self.steps} is over before model.scheduler.warm_up="
                f"{self.warm_up} is: give more steps, or a shorter warm-up"
            )

    def factors(self, total: float) -> Callable[[int], float]:
        """Return the factors, in [0, 1], up to the steps given, or else to those of the training.

        Raises:
            InputError: If neither is known.
        """
        end = total if self.steps is None else self.steps
        if not math.isfinite(end) and self.final < 1:
            raise InputError(
                "the schedule of the learning rate must know when the training ends: set trainer.max_epochs or "
                "trainer.max_steps, or model.scheduler.steps"
            )
        return partial(warm_up_cosine, warm_up=self.warm_up, total=end, final=self.final)
