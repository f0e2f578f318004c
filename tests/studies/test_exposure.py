"""Attempts to let a model be tested on people it was trained on: the weights say who they are, whatever files say."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.split_file import write_split
from disentangle_pl.data.provenance import UNKNOWN, UNTRAINED, Provenance, extended, from_plain, trained_on
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.models.checkpoint import load_model, provenance_of
from disentangle_pl.models.vae import PROVENANCE
from disentangle_pl.studies.clinical_people import refuse_seen, sides_of
from disentangle_pl.studies.clinical_report import Study, how, lead_of
from disentangle_pl.studies.compact import CARRIED
from disentangle_pl.studies.exposure import exposure, exposure_to, sides_by
from disentangle_pl.studies.gwas_kept import kept_codes
from disentangle_pl.studies.latent_words import findings
from disentangle_pl.studies.scan_codes import encode_scans
from tests.brain.scans import bids
from tests.models.tiny import tiny
from tests.studies.brain_runs import HELD_OUT, Runs
from tests.studies.brain_runs import PEOPLE as EVERYBODY

TRAINED = {f"sub-{i:03d}" for i in range(EVERYBODY - HELD_OUT - 1)}
VALIDATION = f"sub-{len(TRAINED):03d}"


def split_of(part: dict[str, str], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    write_split(path, pd.Series(part), "by hand")
    return path


def exchanged() -> dict[str, str]:
    """Training and test people of `brain_runs`, exchanged."""
    parts = {f"sub-{i:03d}": "train" for i in range(EVERYBODY)} | dict.fromkeys(TRAINED, "test")
    return parts | {VALIDATION: "val"}


def data_of(runs: Runs, split: Path, **more: Any) -> LongitudinalData:
    data = LongitudinalData(
        str(runs.scans), (8, 8, 8), 1.5, cache=str(runs.scans.parent / "cache"), split_file=str(split), **more
    )
    data.prepare_data()
    data.setup("predict")
    return data


def old(checkpoint: Path, folder: Path) -> Path:
    """Take away what the checkpoint says of people, as one of an earlier version, and its config.yaml."""
    whole = torch.load(checkpoint, weights_only=True)
    del whole[PROVENANCE]
    path = folder / "old" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(whole, path)
    return path


def test_a_checkpoint_of_the_command_line_holds_whom_it_was_trained_on(brain_runs: Runs) -> None:
    people = [f"sub-{i:03d}" for i in range(EVERYBODY)]
    record = provenance_of(brain_runs.plain)
    assert record == load_model(brain_runs.plain).provenance
    assert trained_on(record, people) == TRAINED
    assert record.complete
    assert not set(people) & set(str(torch.load(brain_runs.plain, weights_only=True)[PROVENANCE]).split("'"))
    assert PROVENANCE in CARRIED, "a compact checkpoint has the weights of somebody too"
    assert record.trainings[0].salt != provenance_of(brain_runs.shared).trainings[0].salt


def test_gwas_takes_nobody_the_encoder_was_trained_on_when_a_split_is_exchanged(
    brain_runs: Runs, tmp_path: Path
) -> None:
    data = data_of(brain_runs, split_of(exchanged(), tmp_path / "split.tsv"))
    for _ in range(2):  # encoded, and read back
        scans = kept_codes(brain_runs.plain, data, tmp_path / "codes")
        assert set(scans.visits["participant_id"][~scans.exposure.seen]) == set(data.people) - TRAINED
        assert scans.exposure.certain
        assert f"plain was trained on {len(TRAINED)} of the {len(TRAINED) + 1} people" in scans.exposure.cautions[0]


def test_codes_of_scans_hold_out_nobody_the_model_was_trained_on(brain_runs: Runs, tmp_path: Path) -> None:
    scans = encode_scans(
        load_model(brain_runs.plain), data_of(brain_runs, split_of(exchanged(), tmp_path / "split.tsv"))
    )
    assert set(scans.visits["participant_id"].iloc[scans.held_out]) == {VALIDATION}
    assert scans.exposure.cautions
    own = encode_scans(load_model(brain_runs.plain), data_of(brain_runs, brain_runs.scans.parent / "split.tsv"))
    assert set(own.visits["participant_id"].iloc[own.train]) == TRAINED
    assert len(set(own.visits["participant_id"].iloc[own.held_out])) == HELD_OUT + 1
    assert own.exposure.cautions == ()


@pytest.mark.parametrize("attempt", ["overwritten", "of the same name elsewhere", "without config.yaml"])
def test_scores_are_not_predicted_of_people_the_encoder_was_trained_on(
    brain_runs: Runs, tmp_path: Path, attempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(brain_runs.plain.read_bytes())
    config = (brain_runs.plain.parents[1] / "config.yaml").read_text()
    original = str(brain_runs.scans.parent / "split.tsv")
    if attempt == "overwritten":
        split = split_of(exchanged(), tmp_path / "split.tsv")
        (tmp_path / "run" / "config.yaml").write_text(config.replace(original, str(split)))
    elif attempt == "of the same name elsewhere":
        split = split_of(exchanged(), tmp_path / "elsewhere" / "split.tsv")
        (tmp_path / "run" / "config.yaml").write_text(config.replace(original, "split.tsv"))
        monkeypatch.chdir(split.parent)
    else:
        split = split_of(exchanged(), tmp_path / "split.tsv")
    data = data_of(brain_runs, split)
    tested = data.visits["participant_id"].iloc[sides_of(data, "both").held_out].unique().tolist()
    with pytest.raises(InputError, match=rf"was trained on {len(TRAINED)} of the {len(tested)} people to be tested"):
        refuse_seen(checkpoint, data, tested)


def test_a_checkpoint_that_does_not_say_gets_a_loud_caution(brain_runs: Runs, tmp_path: Path) -> None:
    checkpoint = old(brain_runs.plain, tmp_path)
    data = data_of(brain_runs, brain_runs.scans.parent / "split.tsv")
    found = refuse_seen(checkpoint, data, [f"sub-{i:03d}" for i in range(len(TRAINED), EVERYBODY)])
    assert not found.certain
    assert found.cautions[0].startswith("nobody can tell whom old was trained on")
    assert set(data.visits["participant_id"][found.seen]) == TRAINED
    assert load_model(checkpoint).provenance == UNKNOWN


def test_validation_people_who_are_for_test_now_are_told(brain_runs: Runs, tmp_path: Path) -> None:
    parts = dict.fromkeys(TRAINED, "train") | {
        f"sub-{i:03d}": "val" if i > EVERYBODY - 3 else "test" for i in range(len(TRAINED), EVERYBODY)
    }
    data = data_of(brain_runs, split_of(parts, tmp_path / "split.tsv"))
    found = exposure_to(provenance_of(brain_runs.plain), data, "plain")
    assert len(found.cautions) == 1
    assert f"1 of the test people here ({VALIDATION}) were for validation when plain was trained" in found.cautions[0]


def test_people_of_another_study_are_new_in_whatever_part_they_are() -> None:
    people = pd.Series(["x", "y", "y", "z"])
    found = exposure(extended(UNTRAINED, {"a": "train"}), people, {"x": "train", "y": "val", "z": "test"})
    assert not found.seen.any()
    assert (found.certain, found.cautions) == (True, ())


def test_sides_share_nobody_unless_the_split_holds_nobody_out() -> None:
    train, held_out = np.array([0, 1, 2]), np.array([3, 4, 5])
    seen = exposure(extended(UNTRAINED, {"d": "train"}), pd.Series(list("abcdef")), {})
    sides = sides_by(seen, train, held_out)
    assert (sides.train.tolist(), sides.held_out.tolist()) == ([0, 1, 2, 3], [4, 5])
    sides = sides_by(seen, train, np.array([1, 0]))
    assert (sides.train.tolist(), sides.held_out.tolist()) == ([0, 1, 2], [0, 1])


def test_reports_begin_with_what_nobody_can_tell() -> None:
    said = findings(9, 20, [], pd.DataFrame({"group": []}), "", ("a", "b"), [], ["nobody can tell"])
    assert said.splitlines()[2] == "**Nobody can tell.**"
    study = Study(pd.DataFrame(), ["a"], 3, "held-out", "both", Plan(), None, (), [])
    assert "no encoder was trained on any of them" in how(study)
    assert "whom no encoder has seen" in lead_of(study)
    unsure = study._replace(certain=False)
    assert "no encoder" not in how(unsure) + lead_of(unsure)


def test_a_training_goes_on_with_more_people_and_forgets_nobody(tmp_path: Path) -> None:
    root = bids(tmp_path / "cohort", {f"{i:02d}": 2 for i in range(6)})

    def fit(parts: str, going_on_from: Path | None = None) -> Path:
        part = {f"sub-{i:02d}": {"t": "train", "v": "val", "e": "test"}[letter] for i, letter in enumerate(parts)}
        split = split_of(part, tmp_path / f"{parts}.tsv")
        data = LongitudinalData(
            str(root), (12, 12, 12), 1.0, 2, 1, cache=str(tmp_path / "cache"), split_file=str(split)
        )
        trainer = Trainer(
            max_epochs=1 if going_on_from is None else 2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(tiny((1, 12, 12, 12)), data, ckpt_path=going_on_from, weights_only=False)
        trainer.save_checkpoint(tmp_path / f"{parts}.ckpt", weights_only=False)
        return tmp_path / f"{parts}.ckpt"

    def record(path: Path) -> Provenance:
        return from_plain(torch.load(path, weights_only=False).get(PROVENANCE))

    people = [f"sub-{i:02d}" for i in range(6)]
    first = fit("ttvvee")
    assert trained_on(record(first), people) == set(people[:2])
    grown = record(fit("etvvte", first))
    assert trained_on(grown, people) == {people[0], people[1], people[4]}
    assert (grown.complete, len(grown.trainings)) == (True, 2)
    whole = torch.load(first, weights_only=False)
    del whole[PROVENANCE]
    torch.save(whole, first)
    assert not record(fit("ttvvet", first)).complete
