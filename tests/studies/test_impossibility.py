"""Rotations that no image can tell from the model itself, and the verb that shows them."""

import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.errors import InputError
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.metrics.sheet import QUICK
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.angle_sweep import Sweep, angle_sweep, seen_table, sight
from disentangle_pl.studies.impossibility import report_impossibility
from disentangle_pl.studies.impossibility_tables import EXAMPLE, gap_table, model_table, numbers, prior_table
from disentangle_pl.studies.linear_vae import fit_linear_vae, linear_images
from disentangle_pl.studies.rotated_model import AXES, ledgers, linear_subject, trained_subject
from disentangle_pl.studies.rotations import (
    best_diagonal_gap,
    diagonal_gap,
    diagonal_kl,
    full_kl,
    paired_turn,
    random_turn,
    turn_uniform,
)
from tests.command_line import TINY, refused, run
from tests.models.tiny import sprites, tiny

FIVE = np.arange(5)


def speak_up(model: VAE, factor: float = 2.5) -> None:
    """Make the latents of an untrained network say something."""
    with torch.no_grad():
        for weight in model.backbone.encoder.parameters():
            weight.mul_(factor)


def test_a_full_kl_is_that_of_torch_and_no_rotation_changes_it() -> None:
    random = np.random.default_rng(0)
    mean, variance, turn = random.normal(size=(4, 5)), random.uniform(0.01, 2, (4, 5)), random_turn(5, FIVE)
    covariance = np.einsum("ij,nj,kj->nik", turn, variance, turn)
    turned = MultivariateNormal(torch.from_numpy(mean @ turn.T), torch.from_numpy(covariance))
    prior = MultivariateNormal(torch.zeros(5).double(), torch.eye(5).double())
    np.testing.assert_allclose(full_kl(mean @ turn.T, covariance), kl_divergence(turned, prior).numpy())
    np.testing.assert_allclose(full_kl(mean @ turn.T, covariance), diagonal_kl(mean, variance))


@pytest.mark.parametrize("seed", range(3))
def test_the_gaps_are_kl_divergences_of_torch(seed: int) -> None:
    variance, turn = np.array([EXAMPLE]), random_turn(5, FIVE, seed=seed)
    covariance = torch.from_numpy(turn * variance @ turn.T)
    zero = torch.zeros(5).double()
    full = MultivariateNormal(zero, covariance)
    diagonal = MultivariateNormal(zero, covariance.diagonal().diag())
    best = MultivariateNormal(zero, (1 / torch.linalg.inv(covariance).diagonal()).diag())
    assert diagonal_gap(variance, turn)[0] == pytest.approx(float(kl_divergence(full, diagonal)))
    assert best_diagonal_gap(variance, turn)[0] == pytest.approx(float(kl_divergence(best, full)))
    assert float(kl_divergence(best, full)) <= float(kl_divergence(diagonal, full))


def test_two_latents_at_45_degrees_lose_what_the_formula_says() -> None:
    a, b = 0.02, 0.5
    gap = 0.5 * math.log((a + b) ** 2 / (4 * a * b))
    assert diagonal_gap(np.array([[a, b]]), paired_turn(2, [0, 1], 45))[0] == pytest.approx(gap)
    assert best_diagonal_gap(np.array([[a, b]]), paired_turn(2, [0, 1], 45))[0] == pytest.approx(gap)


def test_the_loophole_in_nats() -> None:
    table = gap_table(linear_subject(400, 50)).set_index("posterior")
    example, alike = table.iloc[0], table.loc["equal variances"]
    most = 0.5 * (5 * math.log(np.mean(EXAMPLE)) - sum(map(math.log, EXAMPLE)))  # S with equal diagonal
    assert example["low"] < 1.88 < example["high"] < most
    assert example["gap"] == pytest.approx(1.60, abs=0.05)
    assert alike["high"] < 1e-12
    assert alike["elbo_lost"] < 1e-12
    assert table["gap"]["a linear VAE, factors of equal amounts"] < 0.02 < table["gap"]["a linear VAE, exact"]
    for turn in (np.eye(5)[[3, 1, 4, 0, 2]], np.diag([1.0, -1, 1, -1, 1])):
        assert diagonal_gap(np.array([EXAMPLE]), turn)[0] < 1e-12


def test_uniform_variables_stay_uniform_and_lose_their_axes() -> None:
    table = prior_table(4000, rotations=4)
    assert (table["log_density_change"] < 1e-12).all()
    assert (table["marginals_p"] > 0.01).all()
    assert (table["smallest_entry"] > 0).all()
    assert (table["mig"] > 0.98).all()
    assert (table["sap"] > 0.98).all()
    assert (table["mig_rotated"] < 0.2).all()
    assert (table[table["rotation"].str.startswith("45")]["mig_rotated"] < 0.02).all()
    ends = turn_uniform(np.array([[0.0, 1.0]]), paired_turn(2, [0, 1], 45))
    assert np.isfinite(ends).all()


def test_turns_are_rotations_and_ninety_degrees_exchanges_axes() -> None:
    for turn in (random_turn(5, np.array([0, 2, 4])), paired_turn(5, [4, 0, 2], 30)):
        np.testing.assert_allclose(turn @ turn.T, np.eye(5), atol=1e-12)
    assert random_turn(5, np.array([0, 2, 4]))[1].tolist() == [0, 1, 0, 0, 0]
    np.testing.assert_allclose(np.abs(paired_turn(3, [2, 0, 1], 90)), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], atol=1e-12)


def test_the_linear_vae_is_pca_and_its_elbo_is_the_evidence() -> None:
    images, factors = linear_images(3000, 1.5)
    model = fit_linear_vae(images, 5)
    means, variances = model.posterior(images)
    kl = diagonal_kl(means, variances)
    precision = np.square(model.directions).sum(0)
    expected = model.nll(means, images) + 0.5 * (variances * precision).sum(1) / model.noise  # E_q of a square
    np.testing.assert_allclose(-expected - kl, model.log_evidence(images), atol=1e-9)
    strength = np.abs(np.corrcoef(means.T, factors.values.T)[:5, 5:])
    assert strength.diagonal().min() > 0.9
    with pytest.raises(InputError, match="needs 1 to 19 latents"):
        fit_linear_vae(images, 20)


def test_a_rotated_linear_model_has_the_same_elbo_and_no_score() -> None:
    subject = linear_subject(1500, 200)
    table = model_table(subject, QUICK)
    change, trained = numbers(table, "largest_change"), numbers(table, "trained")
    assert max(change[term] for term in ("nll", "kl", "elbo")) < 1e-9
    assert trained["mig"] > 0.6 > 0.2 > numbers(table, "high")["mig"]
    assert trained[AXES] == pytest.approx(1)
    wrong = subject._replace(nll=lambda z: np.abs(z).sum(1))  # images that depend on the latents alone still agree
    before, after = ledgers(wrong, random_turn(5, FIVE))
    np.testing.assert_allclose(before.elbo, after.elbo)


def test_the_sweep_comes_back_at_ninety_degrees_and_tells_who_sees() -> None:
    sweep = angle_sweep(linear_subject(1500, 50), QUICK, (0, 45, 90))
    assert sweep.scores["mig"][2] == pytest.approx(sweep.scores["mig"][0])
    assert sweep.scores["mig"][1] < 0.3 * sweep.scores["mig"][0]
    np.testing.assert_allclose(sweep.gap[[0, 2]], 0, atol=1e-12)
    assert sweep.gap[1] > 0.05
    made = pd.DataFrame(
        {"yes": [1.0, 0.5], "little": [1, 0.9], "same": [1, 0.99], "low": [0.3, 0.1], "tc_units": [3, 1]}
    )
    noise = {"yes": 0.0, "little": 0.0, "same": 0.0, "low": 0.28, "tc_units": 0.0}
    seen = seen_table(Sweep(np.array([0.0, 45]), made, np.zeros(2)), noise)
    assert dict(zip(seen["score"], seen["sees"], strict=True)) == {
        "yes": "yes", "little": "barely", "same": "no", "low": "", "tc_units": "",
    }  # fmt: skip


def test_perfect_codes_tell_what_a_score_can_see_whatever_the_model() -> None:
    subject = linear_subject(1500, 50)
    mixed = subject._replace(mean=subject.mean @ random_turn(5, FIVE).T)  # a model that is not disentangled
    for model in (subject, mixed):
        seen = sight(model, QUICK).set_index("score")
        assert seen["sees"].to_dict() == {
            "mig": "yes",
            "modularity": "yes",
            "modularity_active": "yes",
            "sap": "yes",
            "active_units": "",
            AXES: "yes",
        }
        assert seen["axes"]["mig"] > 0.9
    assert list(sight(subject._replace(factors=None), QUICK)["score"]) == [AXES]


@pytest.mark.parametrize(
    ("mask", "factor"), [(None, 2.5), (partial(L1Mask, strength=0.1), 1.6)], ids=["dense", "masked"]
)
def test_a_network_with_masks_rotates_in_float64(mask: Any, factor: float) -> None:
    torch.manual_seed(0)
    model = tiny(mask=mask)
    speak_up(model, factor)
    subject = trained_subject(model, sprites(4), "tiny", rows=32, shown=8)
    assert subject.mean.shape == (32, 3)
    assert subject.shown == 8
    table = model_table(subject, QUICK)
    assert numbers(table, "largest_change")["elbo"] < 1e-4
    assert numbers(table, "trained")["elbo"] < -10


class Unlabelled(FactorDataset):
    """Images that differ though their only factor is a nuisance."""

    def __init__(self) -> None:
        self.shape, self.factors = (1, 16, 16), FactorSpace(["person"], [32], nuisance=["person"])

    def images(self, index: torch.Tensor) -> torch.Tensor:
        across = torch.arange(256).view(1, 1, 16, 16)
        return ((index.view(-1, 1, 1, 1) * 37 + across * 3) % 256).float() / 255


def test_images_without_factors_show_what_becomes_of_the_axes() -> None:
    model = tiny()
    speak_up(model)
    data = SyntheticData(Unlabelled(), batch_size=4, eval_size=32, eval_batch_size=16)
    subject = trained_subject(model, data, "tiny", rows=32, shown=8)
    assert subject.factors is None
    rotated = numbers(model_table(subject, QUICK), "rotated")
    assert list(rotated) == ["nll", "kl", "elbo", AXES]
    assert rotated[AXES] < 0.97
    assert list(angle_sweep(subject, QUICK, (0, 45)).scores) == [AXES]


def test_a_model_that_says_nothing_cannot_be_rotated() -> None:
    model = tiny()
    speak_up(model, 0.0)
    subject = trained_subject(model, sprites(4), "tiny", rows=32, shown=4)
    with pytest.raises(InputError, match="tiny uses 0 latents, and a rotation needs two"):
        model_table(subject, QUICK)


def test_the_verb_writes_a_page_that_stands_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("impossibility", f"--out={tmp_path}", "--quick=true", "--rows=600", "--images=50")
    said = capsys.readouterr().out
    assert "A: rotations of the prior change log p(z) by at most" in said
    assert "B: a linear VAE, exact: the ELBO is" in said
    page, pictures = re.subn("data:image/png;base64,[^\"']+", "", (tmp_path / "impossibility.html").read_text())
    assert pictures
    assert "http" not in page.replace("http-equiv", "")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"impossibility.html", "impossibility.png"} | {
        f"{name}.tsv" for name in ("prior", "model", "diagonal_gap", "seen", "angles")
    }


def test_the_verb_takes_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"--runs_dir={tmp_path / 'runs'}", "--run_id=one", "--disentanglement.references=false"]
    steps = ["--trainer.max_epochs=1", "--data.steps_per_epoch=60", "--model.beta=0.0", "--model.optimizer.lr=0.01"]
    run("fit", *TINY, *where, "--model.optimizer=torch.optim.Adam", *steps)
    capsys.readouterr()
    checkpoint = tmp_path / "runs" / "one" / "checkpoints" / "last.ckpt"
    run("impossibility", str(checkpoint), f"--out={tmp_path / 'out'}", "--quick=true", "--rows=40", "--images=8")
    assert "B: one: the ELBO is -" in capsys.readouterr().out
    change = numbers(pd.read_csv(tmp_path / "out" / "model.tsv", sep="\t"), "largest_change")
    assert change["elbo"] < 1e-4
    assert {"mig", "sap", AXES} <= set(change)


def test_wrong_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"--out={tmp_path / 'out'}"
    assert "there is no checkpoint at" in refused(capsys, "impossibility", str(tmp_path / "none.ckpt"), out)
    assert "rows >= 6" in refused(capsys, "impossibility", "--rows=3", out)
    with pytest.raises(InputError, match="has no config"):
        report_impossibility(tmp_path / "any.ckpt", None, tmp_path)
    assert not (tmp_path / "out").exists()
