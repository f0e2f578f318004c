"""The scores as metrics of torchmetrics: `update(codes, factors)` a batch, `compute()` a tensor."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from disentangle_pl.metrics.collection import CodesAndFactors
from disentangle_pl.metrics.dci import dci_completeness, dci_disentanglement, dci_informativeness
from disentangle_pl.metrics.dcimig import dcimig
from disentangle_pl.metrics.explicitness import explicitness
from disentangle_pl.metrics.factor_vae_score import factor_vae_score
from disentangle_pl.metrics.hfs import hfs
from disentangle_pl.metrics.irs import irs
from disentangle_pl.metrics.jemmig import jemmig
from disentangle_pl.metrics.mcc import mcc
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.mig_knn import mig_knn
from disentangle_pl.metrics.mig_sup import mig_sup
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.omes import omes
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import ground_truth
from disentangle_pl.metrics.unfairness import unfairness
from disentangle_pl.metrics.z_max_variance import z_max_variance

SETTINGS = {
    "compute_on_cpu",
    "compute_with_cache",
    "dist_sync_fn",
    "dist_sync_on_step",
    "distributed_available_fn",
    "process_group",
    "sync_on_compute",
}


class ScoreMetric(CodesAndFactors):
    """A score as a metric of torchmetrics, over all batches seen since the last reset.

    It logs with `self.log`, works in a `MetricCollection`, gathers the rows of all processes, and has `plot`. Derive
    from it with a `score` of your own to make a metric of that.

    Args:
        options: Of the score, such as `bins=10`, and of `torchmetrics.Metric`, such as `sync_on_compute`.
    """

    higher_is_better = True  # type: ignore[assignment]
    plot_lower_bound = 0.0
    plot_upper_bound: float | None = 1.0

    score: ClassVar[Callable[..., float]]

    def __init__(self, **options: Any) -> None:
        super().__init__(**{name: options.pop(name) for name in set(options) & SETTINGS})
        self.options = options

    def compute(self) -> Tensor:
        """Return the score () of all rows.

        Raises:
            InputError: If there was no batch, or the score refuses the rows.
        """
        codes, factors, _, groups = super().compute()
        value = type(self).score(codes, ground_truth(factors, groups), **self.options)
        return torch.tensor(value, dtype=torch.float32, device=self.device)

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw the score, or scores given, into axes; returns the figure and the axes."""
        return self._plot(val, ax)


class MIG(ScoreMetric):
    """`mig` as a metric."""

    score = staticmethod(mig)


class MIGSup(ScoreMetric):
    """`mig_sup` as a metric."""

    score = staticmethod(mig_sup)


class JEMMIG(ScoreMetric):
    """`jemmig` as a metric."""

    score = staticmethod(jemmig)


class DCIMIG(ScoreMetric):
    """`dcimig` as a metric."""

    score = staticmethod(dcimig)


class SAP(ScoreMetric):
    """`sap` as a metric."""

    score = staticmethod(sap)


class Modularity(ScoreMetric):
    """`modularity` as a metric."""

    score = staticmethod(modularity)


class Explicitness(ScoreMetric):
    """`explicitness` as a metric."""

    score = staticmethod(explicitness)


class DCIDisentanglement(ScoreMetric):
    """`dci_disentanglement` as a metric."""

    score = staticmethod(dci_disentanglement)


class DCICompleteness(ScoreMetric):
    """`dci_completeness` as a metric."""

    score = staticmethod(dci_completeness)


class DCIInformativeness(ScoreMetric):
    """`dci_informativeness` as a metric."""

    score = staticmethod(dci_informativeness)


class FactorVAEScore(ScoreMetric):
    """`factor_vae_score` as a metric."""

    score = staticmethod(factor_vae_score)


class MCC(ScoreMetric):
    """`mcc` as a metric."""

    score = staticmethod(mcc)


class IRS(ScoreMetric):
    """`irs` as a metric."""

    score = staticmethod(irs)


class MIGKNN(ScoreMetric):
    """`mig_knn` as a metric."""

    score = staticmethod(mig_knn)


class ZMaxVariance(ScoreMetric):
    """`z_max_variance` as a metric."""

    score = staticmethod(z_max_variance)


class OMES(ScoreMetric):
    """`omes` as a metric."""

    score = staticmethod(omes)


class Unfairness(ScoreMetric):
    """`unfairness` as a metric: lower is better."""

    higher_is_better = False
    score = staticmethod(unfairness)


class HFS(ScoreMetric):
    """`hfs` of the codes as a metric, whatever the factors: lower is better."""

    higher_is_better = False
    plot_upper_bound = None
    score = staticmethod(hfs)
