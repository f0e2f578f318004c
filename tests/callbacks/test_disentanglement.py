import csv
import json
import math
from pathlib import Path

import pytest

from disentangle_pl.callbacks.disentanglement import LogDisentanglement
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.mig import mig
from tests.models.tiny import sprites, tiny, trainer


def test_validation_writes_the_sheet_and_logs_every_number(tmp_path: Path) -> None:
    callback = LogDisentanglement(sheet=False)
    run = trainer(tmp_path, callbacks=[callback])
    model, data = tiny(), sprites(8)
    (logged,) = run.validate(model, data, verbose=False)
    with (tmp_path / "scores.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["name"] for row in rows] == ["mig", "modularity", "modularity_active", "sap", "active_units"]
    for row in rows:
        for suffix, column in (("", "value"), ("_floor", "floor")):
            assert logged[f"disentanglement/{row['name']}{suffix}"] == pytest.approx(float(row[column]), abs=1e-6)
    assert all(f"disentanglement/mig_{name}" in logged for name in data.factor_names)
    assert math.isnan(float(rows[0]["ceiling"]))  # three latents, five factors
    assert not any(key.endswith("_ceiling") for key in logged)


def test_the_whole_sheet_ends_a_run(tmp_path: Path) -> None:
    run = trainer(tmp_path, callbacks=[LogDisentanglement(references=False)])
    (logged,) = run.validate(tiny(), sprites(8), verbose=False)
    for name in ("dci_disentanglement", "infom", "factor_vae_score", "modularity_corrected", "total_correlation"):
        assert math.isfinite(logged[f"disentanglement/{name}"])
    assert not any(key.endswith(("_floor", "_ceiling")) for key in logged)
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["rows"] == 32
    assert found["seconds"]["dci"] > 0


def test_own_scores_are_logged_beside_the_others(tmp_path: Path) -> None:
    callback = LogDisentanglement(
        {"mine": lambda codes, factors: 1 - mig(codes, factors)}, sheet=False, references=False
    )
    run = trainer(tmp_path, callbacks=[callback])
    run.fit(tiny(), sprites(8))
    during = float(run.callback_metrics["disentanglement/mine"])
    (logged,) = run.validate(run.lightning_module, sprites(8), verbose=False)
    assert logged["disentanglement/mine"] == pytest.approx(1 - logged["disentanglement/mig"], abs=1e-6)
    assert during == pytest.approx(logged["disentanglement/mine"], abs=1e-6)


def test_chosen_entries_alone_end_a_run(tmp_path: Path) -> None:
    run = trainer(tmp_path, callbacks=[LogDisentanglement(only=["dci", "mig"], references=False)])
    (logged,) = run.validate(tiny(), sprites(8), verbose=False)
    known = {key.removeprefix("disentanglement/") for key in logged if "mig_" not in key and "/" in key}
    assert {name for name in known if not name.startswith("val/")} == {
        "mig", "dci_disentanglement", "dci_completeness", "dci_informativeness",
    }  # fmt: skip
    with pytest.raises(InputError, match="no entry 'mug'"):
        LogDisentanglement(only=["mug"])


def test_training_logs_the_cheap_scores_and_writes_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path, callbacks=[LogDisentanglement()])
    run.fit(tiny(), sprites(8))
    logged = {key.removeprefix("disentanglement/") for key in run.callback_metrics if key.startswith("disent")}
    assert {"mig", "modularity", "sap"} < logged
    assert not any("dci" in key or "floor" in key for key in logged)
    assert list(tmp_path.iterdir()) == []
