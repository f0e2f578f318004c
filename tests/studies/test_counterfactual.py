import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.provenance import extended
from disentangle_pl.errors import InputError
from disentangle_pl.studies.counterfactual import WARNING, Question, ask
from disentangle_pl.studies.counterfactual_check import check
from tests.brain.scans import bids
from tests.models.tiny import tiny

COHORT = {f"{i:02d}": 3 for i in range(20)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LongitudinalData:
    """20 people, three visits each, the first half healthy."""
    root = bids(tmp_path_factory.mktemp("cohort"), COHORT)
    for i, who in enumerate(COHORT):
        lines = [f"ses-{k}\t{60 + i + 2 * k}\t{'CN' if i < 10 else 'AD'}\n" for k in (1, 2, 3)]
        (root / f"sub-{who}" / f"sub-{who}_sessions.tsv").write_text("session_id\tage\tdiagnosis\n" + "".join(lines))
    return LongitudinalData(str(root), (12, 12, 12), 1.0, 4, cache=str(root / "cache"))


def test_a_set_latent_is_written_as_volumes_that_add_up(data: LongitudinalData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = tiny((1, 12, 12, 12)).eval()
    table = ask(model, data, Question("03", "2", values={1: 4.0}), tmp_path)
    folder = tmp_path / "sub-03_ses-2_z1=4"
    scan, changed, difference = (
        nib.load(folder / f"{name}.nii.gz").get_fdata() for name in ("scan", "counterfactual", "difference")
    )
    np.testing.assert_allclose(changed - scan, difference, atol=1e-6)
    assert np.abs(difference).max() > 0
    assert not (folder / "difference_low.nii.gz").exists()
    assert table["after"].tolist() == [table["before"][0], 4.0, table["before"][2]]
    about = json.loads((folder / "about.json").read_text())
    assert about["extrapolates"]  # codes of an untrained model are tiny: 4 is far out
    assert about["note"] == WARNING
    assert (folder / "counterfactual.png").stat().st_size > 5000


def test_years_move_what_ages_in_the_group_asked_for(
    data: LongitudinalData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model = tiny((1, 12, 12, 12)).eval()
    healthy = ask(model, data, Question("03", years=5), tmp_path, group="cn", level=1.1)
    other = ask(model, data, Question("03", years=5), tmp_path, group="AD", level=1.1)
    assert (healthy["after"] - healthy["before"]).to_numpy() == pytest.approx(5 * healthy["per_year"], abs=1e-5)
    assert (healthy["low"] <= healthy["after"] + 1e-6).all()
    assert (healthy["after"] <= healthy["high"] + 1e-6).all()
    assert not np.allclose(healthy["per_year"], other["per_year"])
    none = ask(model, data, Question("03", years=5), tmp_path, level=0.0)
    assert none["after"].equals(none["before"])
    assert "no latent moves" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "sub-03_ses-1_years+5").glob("*.nii.gz")) == [
        f"{name}.nii.gz" for name in ("counterfactual", "difference", "difference_high", "difference_low", "scan")
    ]


def test_people_the_model_was_trained_on_and_the_group_are_named(
    data: LongitudinalData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model = tiny((1, 12, 12, 12)).eval()
    data.prepare_data()
    data.setup("predict")
    trained, new = (part["participant_id"].iloc[0] for part in (data.parts.train, data.parts.test))
    model.provenance = extended(model.provenance, data.people)
    for subject in (trained, new):
        ask(model, data, Question(subject, years=5), tmp_path, group="Dementia")
        shown = capsys.readouterr().out
        about = json.loads((tmp_path / f"{subject}_ses-1_years+5" / "about.json").read_text())
        assert about["trained_on"] == ([subject] if subject == trained else [])
        assert (f"The model was trained on scans of {trained}" in shown) == (subject == trained)
        assert "ageing of training participants with diagnosis Dementia, written AD" in shown
    ask(model, data, Question(new, swap=trained, latents=[0]), tmp_path)
    assert f"The model was trained on scans of {trained}" in capsys.readouterr().out
    ask(model, data, Question(new, years=5), tmp_path, group="FTD")
    assert "(none has diagnosis FTD: there are AD; CN)" in capsys.readouterr().out


def test_latents_come_from_another_person(data: LongitudinalData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = tiny((1, 12, 12, 12)).eval()
    table = ask(model, data, Question("sub-03", swap="05", latents=[2]), tmp_path)
    other = ask(model, data, Question("05", values={0: 0.0}), tmp_path)
    assert table["after"][2] == other["before"][2]
    assert table["after"][:2].equals(table["before"][:2])


def test_a_check_compares_held_out_follow_ups(
    data: LongitudinalData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model = tiny((1, 12, 12, 12)).eval()
    table = check(model, data, tmp_path, group="nobody", level=1.1)
    written = pd.read_csv(tmp_path / "follow_ups_summary.tsv", sep="\t")
    assert written["mean"].tolist() == pytest.approx(table["mean"].tolist())
    pairs = pd.read_csv(tmp_path / "follow_ups.tsv", sep="\t")
    held_out = set(data.parts.val.index) | set(data.parts.test.index)
    assert set(pairs["first"]) | set(pairs["later"]) <= held_out
    said = capsys.readouterr().out
    assert "all training participants (none has diagnosis nobody: there are AD; CN)" in " ".join(said.split())
    assert "effectiveness" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"subject": "99", "years": 1}, "no subject 99 in these scans: there are sub-00; sub-01"),
        ({"subject": "03", "session": "9", "years": 1}, "03 has no session 9: there are ses-1; ses-2; ses-3"),
        ({"subject": "03", "values": {3: 1.0}}, "no latent 3: the model has 3, from 0 to 2"),
        ({"subject": "03", "swap": "99", "latents": [0]}, "no subject 99"),
    ],
)
def test_what_is_not_there_is_said(data: LongitudinalData, tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ask(tiny((1, 12, 12, 12)).eval(), data, Question(**asked), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_question_asks_for_one_thing() -> None:
    asked: list[dict[str, Any]] = [{}, {"years": 1, "values": {0: 1.0}}]
    for wrong in asked:
        with pytest.raises(InputError, match="ask for one of"):
            Question("03", **wrong)
    asked = [{"swap": "05"}, {"years": 1, "latents": [0]}]
    for wrong in asked:
        with pytest.raises(InputError, match="go together"):
            Question("03", **wrong)


def test_scans_of_another_size_are_refused(data: LongitudinalData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model takes images of shape"):
        check(tiny((1, 8, 8, 8)).eval(), data, tmp_path)
