"""Scores as metrics of torchmetrics equal the functions, and log, plot and combine as such metrics do."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection

from disentangle_pl import metrics
from disentangle_pl.errors import InputError
from disentangle_pl.metrics import DCIMIG, MIG, SAP, Explicitness, FactorVAEScore, MIGSup, Modularity, ScoreMetric
from disentangle_pl.metrics.mcc import mcc, spearman
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import draw
from tests.models.tiny import trainer

FACTORS = torch.from_numpy(draw((2, 3), 60))
CODES = FACTORS + torch.from_numpy(np.random.default_rng(0).normal(0, 0.4, (60, 2))).float()
CLASSES: list[type[ScoreMetric]] = ScoreMetric.__subclasses__()


def seen(metric: ScoreMetric, *more: Tensor) -> ScoreMetric:
    """Give a metric the rows in batches."""
    for batch in zip(*(torch.split(table, 25) for table in (CODES, FACTORS, *more)), strict=True):
        metric.update(*batch)
    return metric


@pytest.mark.parametrize("kind", CLASSES)
def test_a_metric_equals_its_function(kind: type[ScoreMetric]) -> None:
    value = seen(kind()).compute()
    assert (value.shape, value.dtype) == ((), torch.float32)
    assert float(value) == pytest.approx(kind.score(CODES, FACTORS), abs=1e-6)


def test_every_metric_is_named_after_its_score_and_stands_on_the_face() -> None:
    assert len(CLASSES) >= 13
    for kind in CLASSES:
        assert getattr(metrics, kind.__name__) is kind
        assert kind.__name__.lower() == kind.score.__name__.replace("_", "")
        assert kind.score is getattr(metrics, kind.score.__name__)


def test_the_package_gives_functions_also_when_their_files_are_loaded() -> None:
    assert set(metrics.__all__) >= {"mig", "dci", "sap", "mcc", "irs", "infomec", "MIG", "GroundTruth"}
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__)
    assert metrics.dci(CODES, FACTORS).disentanglement > 0.5


def test_options_of_the_score_and_of_the_metric_are_told_apart() -> None:
    metric = seen(MIG(bins=3, sync_on_compute=False))
    assert not metric.sync_on_compute
    assert float(metric.compute()) == pytest.approx(metrics.mig(CODES, FACTORS, bins=3), abs=1e-6)
    with pytest.raises(TypeError, match="bin"):
        seen(MIG(bin=3)).compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_metrics_combine_and_start_anew() -> None:
    collection = MetricCollection([MIG(), MIGSup(), DCIMIG(), SAP()])
    for codes, factors in zip(torch.split(CODES, 20), torch.split(FACTORS, 20), strict=True):
        collection.update(codes.bfloat16().requires_grad_(), factors)
    values = collection.compute()
    whole = CODES.bfloat16()
    expected: dict[str, Callable[..., float]] = {
        "MIG": metrics.mig,
        "MIGSup": metrics.mig_sup,
        "DCIMIG": metrics.dcimig,
        "SAP": metrics.sap,
    }
    assert {name: float(value) for name, value in values.items()} == pytest.approx(
        {name: score(whole, FACTORS) for name, score in expected.items()}, abs=1e-6
    )
    collection.reset()
    with pytest.raises(InputError, match="MIG has seen no codes"):
        collection.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize("kind", [MIG, FactorVAEScore])
def test_a_score_of_nothing_is_refused_in_a_sentence(kind: type[ScoreMetric]) -> None:
    with pytest.raises(InputError, match=rf"{kind.__name__} has seen no codes: call update\(codes, factors\)"):
        kind().compute()
    few = kind()
    few.update(CODES[:1], FACTORS[:1])
    with pytest.raises(InputError, match="rows"):
        few.compute()


def test_groups_and_numbers_of_rows_are_given_with_the_batch() -> None:
    people = torch.arange(60) // 4
    order = torch.randperm(60)
    metric = SAP()
    for rows in torch.split(order, 7):
        metric.update(CODES[rows], FACTORS[rows], rows, people[rows])
    truth = GroundTruth(FACTORS.double().numpy(), np.array([True, True]), people.numpy())
    assert float(metric.compute()) == pytest.approx(metrics.sap(CODES, truth), abs=1e-6)
    metric.update(CODES, FACTORS)
    with pytest.raises(InputError, match="60 of 120 rows have row numbers: give every batch its own"):
        metric.compute()


def test_a_score_of_ones_own_is_a_metric() -> None:
    class RankedMCC(ScoreMetric):
        score = staticmethod(mcc)

    value = seen(RankedMCC(correlation=spearman)).compute()
    assert float(value) == pytest.approx(mcc(CODES, FACTORS, correlation=spearman), abs=1e-6)
    CLASSES.clear()
    CLASSES.extend(kind for kind in ScoreMetric.__subclasses__() if kind is not RankedMCC)


def test_a_metric_draws_itself() -> None:
    metric = seen(MIG())
    figure, axes = metric.plot()
    assert axes.get_ylim()[0] <= 0 <= 1 <= axes.get_ylim()[1]
    same, _ = metric.plot([metric.compute(), metric.compute()], ax=axes)
    assert same is None or same is figure
    plt.close("all")


class Scored(LightningModule):
    """Log a metric in every epoch of validation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.modularity = Modularity()
        self.scores = MetricCollection({"explicitness": Explicitness()}, prefix="val/")

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        for metric in (self.modularity, self.scores):
            metric.update(*batch)
        self.log("modularity", self.modularity)
        self.log_dict(self.scores)


def test_a_module_logs_the_score_of_the_epoch(tmp_path: Any) -> None:
    module = Scored()
    loader = DataLoader(TensorDataset(CODES, FACTORS), batch_size=25)
    run = trainer(tmp_path)
    for _ in range(2):  # the second epoch begins without the rows of the first
        (logged,) = run.validate(module, loader, verbose=False)
        assert logged["modularity"] == pytest.approx(modularity(CODES, FACTORS), abs=1e-6)
        assert logged["val/explicitness"] == pytest.approx(metrics.explicitness(CODES, FACTORS), abs=1e-6)
