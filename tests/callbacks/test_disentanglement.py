import csv
import math
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.callbacks.disentanglement import LogDisentanglement, Sheet, score_sheet
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Score
from tests.metrics.golden import draw
from tests.models.tiny import sprites, tiny, trainer

SCORES: dict[str, Score] = {"mig": mig, "modularity": modularity, "sap": sap}
DCI = ["dci_disentanglement", "dci_completeness", "dci_informativeness"]
FACTORS = draw((3, 4), 2000)


def by_name(sheet: list[Sheet]) -> dict[str, Sheet]:
    return {line.name: line for line in sheet}


def test_a_perfect_code_reaches_the_ceiling_of_every_score() -> None:
    sheet = score_sheet(perfect_codes(FACTORS, 4), FACTORS, SCORES, dci_rows=150, jobs=1)
    assert [line.name for line in sheet] == [*SCORES, *DCI]
    for line in sheet:
        assert line.value == line.ceiling
        assert line.floor < line.value - 0.1, line
    assert by_name(sheet)["mig"].value > 0.95
    assert by_name(sheet)["dci_disentanglement"].value > 0.95


def test_noise_stays_at_the_floor_of_every_score() -> None:
    noise = np.random.default_rng(1).normal(size=(2000, 4))
    sheet = score_sheet(noise, FACTORS, SCORES, dci_rows=0)
    assert [line.name for line in sheet] == [*SCORES]
    for name, room in {"mig": 0.01, "modularity": 0.15, "sap": 0.04}.items():
        line = by_name(sheet)[name]
        assert line.value == pytest.approx(line.floor, abs=room)
        assert line.ceiling == by_name(score_sheet(perfect_codes(FACTORS, 4), FACTORS, SCORES, 0))[name].value


def test_fewer_latents_than_factors_have_no_ceiling() -> None:
    codes = perfect_codes(FACTORS, 2)[:, :1]
    (line,) = score_sheet(codes, FACTORS, {"explained": lambda codes, factors: float(codes.shape[1])}, dci_rows=0)
    assert (line.value, line.floor) == (1, 1)
    assert math.isnan(line.ceiling)


def test_validation_writes_the_sheet_and_logs_every_number(tmp_path: Path) -> None:
    callback = LogDisentanglement(dci_rows=0)
    run = trainer(tmp_path, callbacks=[callback])
    model, data = tiny(), sprites(8)
    (logged,) = run.validate(model, data, verbose=False)
    with (tmp_path / "scores.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["name"] for row in rows] == ["mig", "modularity", "sap"]
    for row in rows:
        for suffix, column in (("", "value"), ("_floor", "floor")):
            assert logged[f"disentanglement/{row['name']}{suffix}"] == pytest.approx(float(row[column]), abs=1e-6)
    assert all(f"disentanglement/mig_{name}" in logged for name in data.factor_names)
    assert math.isnan(float(rows[0]["ceiling"]))  # three latents, five factors
    assert not any(key.endswith("_ceiling") for key in logged)


def test_training_logs_the_cheap_scores_and_writes_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path, callbacks=[LogDisentanglement()])
    run.fit(tiny(), sprites(8))
    logged = {key.removeprefix("disentanglement/") for key in run.callback_metrics if key.startswith("disent")}
    assert {"mig", "modularity", "sap"} < logged
    assert not any("dci" in key or "floor" in key for key in logged)
    assert list(tmp_path.iterdir()) == []
