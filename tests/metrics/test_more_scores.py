import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torchmetrics import MetricCollection

from disentangle_pl import metrics
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.references import full_sheet
from disentangle_pl.metrics.sheet import ALL, MORE, chosen, score_codes
from tests.metrics.golden import draw

FACTORS = draw((2, 2, 3), 450)
CODES = perfect_codes(FACTORS, 3)


def test_every_further_entry_scores_a_dense_table() -> None:
    codes = perfect_codes(FACTORS, 3).round(3)
    scored = score_codes(codes, FACTORS, MORE.items())
    assert not scored.refused
    assert all(math.isfinite(value) for value in scored.values.values())
    assert {"unfairness", "downstream_trees_100", "downstream_strong_gap", "infoe_discrete", "tad"} < set(scored.values)
    assert "downstream_trees_1000" not in scored.values


def test_further_entries_are_computed_where_they_are_named_alone() -> None:
    assert not set(ALL) & set(MORE)
    assert list(chosen(["tad", "mig", "hfs"])) == ["mig", "hfs", "tad"]
    with pytest.raises(InputError, match="unfairness"):
        chosen(["fairness"])


def test_a_further_entry_stands_beside_its_ends_and_is_remembered(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("floors")
    (line,), _ = full_sheet(CODES, FACTORS, chosen(["mig_knn"]), folder=folder)
    assert line.value == line.ceiling > 0.9
    assert max(line.floor_high, line.rotated_high) < 0.1
    assert len(list(folder.iterdir())) == 1


def test_the_metrics_of_torchmetrics_give_the_functions() -> None:
    codes, factors = torch.from_numpy(CODES), torch.from_numpy(FACTORS)
    collection = MetricCollection(
        [metrics.MIGKNN(), metrics.OMES(), metrics.ZMaxVariance(votes=90, test_votes=90), metrics.HFS(rows=32)]
    )
    collection.update(codes, factors)
    single = codes.float().numpy()
    expected = {
        "MIGKNN": metrics.mig_knn(single, FACTORS),
        "OMES": metrics.omes(single, FACTORS),
        "ZMaxVariance": metrics.z_max_variance(single, FACTORS, votes=90, test_votes=90),
        "HFS": metrics.hfs(single, rows=32),
    }
    assert {name: value.item() for name, value in collection.compute().items()} == pytest.approx(expected)
    fair = metrics.Unfairness()
    fair.update(codes, factors)
    assert fair.compute().item() == pytest.approx(metrics.unfairness(np.float32(CODES), FACTORS), abs=1e-7)
    assert not fair.higher_is_better


@pytest.mark.parametrize(
    "score",
    [metrics.unfairness, metrics.dci_lasso, metrics.dci_forest, metrics.z_max_variance, metrics.strong_downstream],
)
def test_words_have_one_number_in_train_and_test(score: Callable[..., Any]) -> None:
    """The test rows lack the first word, so that numbers of their own would be those of other words."""
    later = FACTORS[:, 2] > 0
    words = np.array(["ape", "bee", "cat"])[FACTORS]
    numbered = score(CODES, FACTORS, test=(CODES[later], FACTORS[later]))
    assert score(CODES, words, test=(CODES[later], words[later])) == numbered


FORMS: dict[str, tuple[Any, Any]] = {
    "half tensors with a gradient": (torch.from_numpy(CODES).bfloat16().requires_grad_(), torch.from_numpy(FACTORS)),
    "frames": (pd.DataFrame(CODES), pd.DataFrame(FACTORS.astype(bool))),
    "lists": (CODES.tolist(), FACTORS.tolist()),
    "one factor": (CODES, FACTORS[:, 0]),
    "missing values": (CODES, np.where(np.arange(3) == 1, np.nan, FACTORS)),
    "people": (CODES, metrics.ground_truth(FACTORS, np.repeat(np.arange(90), 5))),
    "dead codes": (np.zeros((450, 3)), FACTORS),
    "huge codes": (CODES * 1e28, FACTORS),
    "seven rows": (CODES[:7], FACTORS[:7]),
    "a missing code": (np.where(np.arange(450)[:, None] == 3, np.nan, CODES), FACTORS),
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_comes_in_gives_numbers_or_one_sentence(form: str) -> None:
    codes, factors = FORMS[form]
    for name in ("unfairness", "hfs", "mig_knn", "dci_lasso", "infomec_discrete", "z_max_variance", "tad", "omes"):
        try:
            scores = np.hstack([MORE[name].score(codes, factors)])
        except InputError:
            continue
        assert np.isfinite(scores).all(), name
