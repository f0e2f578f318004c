"""Data sets beside their controls on made-up runs whose differences are known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.variance_controls import OUTCOMES, controls, words


def made() -> pd.DataFrame:
    """Runs whose score is 0.3 higher with unequal amounts; methods, two without a strength, differ by 2."""
    random = np.random.default_rng(1)
    settings = (("BetaVAE", 1.0, 0.0), ("BetaTCVAE", np.nan, 2.0), ("OrderedVAE", np.nan, -2.0))
    rows = []
    for ratio in ("1", "1.5"):
        for model, strength, level in settings:
            for seed in range(3):
                value = level + 0.3 * (ratio == "1.5") + 0.05 * random.normal()
                row = {"data_set": f"CosineFactors, ratio={ratio}", "model": model, "strength": strength, "seed": seed}
                rows.append(row | dict.fromkeys(OUTCOMES, value))
    return pd.DataFrame(rows)


def test_a_difference_is_that_of_means_and_its_interval_that_within_settings() -> None:
    runs = made()
    table = controls(runs)
    assert table["differs"].unique().tolist() == ["amounts are unequal (1.5 against 1.0)"]
    row = table.iloc[0]
    assert row["difference"] == pytest.approx(row["mean"] - row["mean_control"])
    assert row["low"] < 0.3 < row["high"]
    y = runs[OUTCOMES[0]]
    rest = y - y.groupby([runs["data_set"], runs["model"]]).transform("mean")
    cells = y.groupby([runs["model"], runs["data_set"]]).mean().unstack()
    apart = (cells.iloc[:, 1] - cells.iloc[:, 0]) - row["difference"]
    within = (float((rest**2).sum()) + 3 * float((apart**2).sum()) / 2) / (18 - 4)  # residuals, and unlike differences
    half = float(stats.t(14).ppf(0.975)) * np.sqrt(within * 2 / 9)
    assert row["high"] - row["difference"] == pytest.approx(half)
    assert row["p"] < 1e-6


def test_words_name_every_comparison() -> None:
    text = words(controls(made()))
    assert text.count("CosineFactors, ratio=1.5; CosineFactors, ratio=1") == len(OUTCOMES)
    silent = made()
    silent.loc[silent["data_set"] == "CosineFactors, ratio=1", "switching"] = np.nan
    assert set(controls(silent)["outcome"]) == set(OUTCOMES) - {"switching"}
    assert controls(made().groupby("data_set").head(1)).empty
    assert controls(made().query("data_set == 'CosineFactors, ratio=1'")).empty
