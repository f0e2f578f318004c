"""The study of variance: streamed moments, sampled anchors, the model's part, and the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

from disentangle_pl.cli import main
from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.linear_toys import CosineFactors, TurningDirections
from disentangle_pl.data.perturbed import Noised, Perturbed
from disentangle_pl.data.separate_squares import SeparateSquares
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.data.variance_toys import ColourPatch, ColourSize, EvenColourSize
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import GroundTruth
from disentangle_pl.studies.codes import CodeTable
from disentangle_pl.studies.variance import Study, study_variance
from disentangle_pl.studies.variance_components import global_components, step_alignment, steps
from disentangle_pl.studies.variance_factors import FactorVariance, Plan, measure_factors
from disentangle_pl.studies.variance_model import encode_grid, measure_encoding, table_codes
from disentangle_pl.studies.variance_moments import exact_moments, pass_count, passes
from disentangle_pl.studies.variance_report import report_variance
from disentangle_pl.studies.variance_signal import (
    BitMemory,
    Signal,
    anchor_factors,
    draw_anchors,
    image_signal,
    remembered,
    slice_index,
    table_signal,
)
from disentangle_pl.studies.variance_table import means_line, profile
from tests.command_line import TINY, refused, run
from tests.models.tiny import tiny

SMALL = Sprites(16, [0, 2], [0, 5], [0, 7, 13], [0, 10, 20, 31], [0, 10, 20, 31])
SAMPLED = Plan(anchors=48, complete=0)


def every(signal: Signal) -> Tensor:
    return signal.at(torch.arange(len(signal.space))).double().view(*signal.space.sizes, -1)


def noise(*sizes: int, width: int = 6) -> Signal:
    """Return a grid of random vectors."""
    space = FactorSpace([f"f{k}" for k in range(len(sizes))], sizes)
    return table_signal(space, torch.rand(len(space), width, generator=torch.Generator().manual_seed(0)))


def measured(data: FactorDataset, plan: Plan | None = None, *, exact: bool = True) -> dict[str, FactorVariance]:
    signal, plan = image_signal(data), plan or Plan()
    components = global_components(signal, whole=plan.whole(signal))
    moments = exact_moments(signal) if exact else None
    return {data.factors.names[f.k]: f for f in measure_factors(signal, components, moments, plan)}


def studied(data: FactorDataset) -> dict[tuple[str, str], float]:
    lines = study_variance(data, None, Plan(), None).lines
    return {(line.factor, line.measure): line.value for line in lines}


@pytest.mark.parametrize("memory", [1, 2, 96])
@pytest.mark.parametrize(
    "signal",
    [image_signal(SMALL), image_signal(ColourSize(positions=3)), noise(2, 3, 1, 4), noise(5, 2)],
    ids=["sprites", "squares", "odd", "two"],
)
def test_streamed_moments_equal_those_of_the_whole_tensor(signal: Signal, memory: int) -> None:
    images = every(signal)
    found = exact_moments(signal, memory=memory)
    assert list(found) == [k for k, size in enumerate(signal.space.sizes) if size > 1]
    for k, moments in found.items():
        amounts = images.var(dim=k, correction=0).sum(-1).flatten()
        means = images.mean([axis for axis in range(len(signal.space.sizes)) if axis != k])
        torch.testing.assert_close(moments.amounts, amounts, rtol=1e-10, atol=1e-10)
        assert moments.main == pytest.approx(float(means.var(0, correction=0).sum()), abs=1e-10)


def test_many_passes_with_little_memory_give_the_same() -> None:
    signal = noise(3, 4, 5, width=2**13)
    read: list[int] = []
    some, more = exact_moments(signal, memory=1, advance=read.append), exact_moments(signal, memory=96)
    assert pass_count(signal, 1) == 3
    assert sum(read) == 3 * 60
    for k, moments in more.items():
        torch.testing.assert_close(some[k].amounts, moments.amounts, rtol=1e-10, atol=1e-10)


def test_single_precision_is_exact_for_binary_images(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = image_signal(SMALL)
    double = exact_moments(signal)
    monkeypatch.setattr("disentangle_pl.studies.variance_moments.DOUBLE", 0)
    for k, moments in exact_moments(signal).items():
        torch.testing.assert_close(moments.amounts, double[k].amounts, rtol=1e-12, atol=1e-12)


def test_the_full_grid_of_dsprites_takes_two_passes() -> None:
    space = Sprites().factors
    assert passes(space, 1536) == [[2, 3], [0, 1, 4]]
    assert pass_count(image_signal(Sprites()), 96) == 2


def test_slices_hold_all_values_of_one_factor() -> None:
    space = FactorSpace("abc", (2, 3, 4))
    for k in range(3):
        index = slice_index(space, k, torch.arange(24 // space.sizes[k]))
        assert sorted(index.flatten().tolist()) == list(range(24))
        factors = space.to_factors(index)
        assert torch.equal(factors[..., k], torch.arange(space.sizes[k]).expand(len(index), -1))
        factors[..., k] = 0
        assert (factors == factors[:, :1]).all()
        assert torch.equal(anchor_factors(space, k, torch.arange(len(index))), factors[:, 0])


def test_anchors_are_drawn_once_each_also_from_huge_grids() -> None:
    draws = torch.Generator().manual_seed(0)
    for sizes in ((4, 30, 30), (4, 5000, 5000)):
        space = FactorSpace("abc", sizes)
        anchors = draw_anchors(space, 0, 50, draws)
        assert len(set(anchors.tolist())) == 50
        assert anchors.max() < sizes[1] * sizes[2]
    assert draw_anchors(FactorSpace("ab", (4, 9)), 0, 50, draws).tolist() == list(range(9))


def test_binary_images_are_drawn_once() -> None:
    asked: list[int] = []

    def lookup(index: Tensor) -> Tensor:
        asked.append(len(index))
        return SMALL.images(index).flatten(1)

    signal = image_signal(SMALL)
    kept = remembered(signal._replace(lookup=lookup))
    for _ in range(3):
        assert torch.equal(kept.at(torch.arange(len(SMALL))), signal.at(torch.arange(len(SMALL))))
    assert sum(asked) == len(SMALL)
    grey = BitMemory(image_signal(CosineFactors(2, 3)))
    for _ in range(2):
        assert torch.equal(grey(torch.arange(9)), image_signal(CosineFactors(2, 3)).lookup(torch.arange(9)))
    assert not grey.binary
    assert remembered(signal, most=0) is signal


def test_colour_and_size_have_the_reference_values() -> None:
    found = measured(ColourSize())
    colour, size = found["colour"], found["size"]
    assert colour.amounts.tolist() == pytest.approx([0.84, 3.36, 7.56, 13.44, 21.0], rel=1e-6)
    numbers = [colour.amount, colour.direction, colour.interaction, size.amount, size.direction]
    assert [number.mean for number in numbers] == pytest.approx([0.618, 0.430, 0.436, 0.713, 1.0], abs=6e-4)
    assert all(number.low == number.mean == number.high for number in numbers)


def test_controls_separate_amount_from_direction() -> None:
    for factor in measured(ColourPatch()).values():
        assert [factor.amount.mean, factor.direction.mean] == pytest.approx([1, 1])
        assert factor.interaction.mean == pytest.approx(0, abs=1e-9)
    colour = measured(EvenColourSize())["colour"]
    assert [colour.amount.mean, colour.direction.mean] == pytest.approx([1, 0.430], abs=6e-4)


def test_additive_grids_are_consistent_and_aligned() -> None:
    found = studied(CosineFactors(3, 5))
    for k in range(3):
        name = f"wave_{k + 1}"
        assert found[name, "interaction"] == pytest.approx(0, abs=1e-6)
        assert found[name, "amount consistency"] == pytest.approx(1)
        assert found[name, "direction consistency"] == pytest.approx(1)
    assert found["", "global alignment"] == pytest.approx(1, abs=1e-6)
    assert found["", "local alignment"] == pytest.approx(1, abs=1e-6)
    assert found["", "local/global discrepancy"] == pytest.approx(0, abs=1e-6)


def test_turning_directions_lower_the_consistency_of_direction_alone() -> None:
    turning, still = measured(TurningDirections()), measured(TurningDirections(turn=0))
    angles = torch.deg2rad(torch.linspace(0, 90, 8))
    expected = float((angles[:, None] - angles).cos().square().mean())
    for name in ("major", "minor"):
        assert turning[name].direction.mean == pytest.approx(expected, abs=1e-5)
        assert turning[name].amount.mean == pytest.approx(1)
        assert still[name].direction.mean == pytest.approx(1)
    assert (
        studied(TurningDirections())["", "global alignment"]
        < 0.7
        < studied(TurningDirections(turn=0))["", "global alignment"]
    )


def test_separate_squares_have_closed_forms() -> None:
    for factor in measured(SeparateSquares(2, 8)).values():
        assert factor.total.mean == pytest.approx(64 * (1 - 1 / 4))
        assert factor.direction.mean == pytest.approx(1 / 4, abs=1e-6)
        assert factor.amount.mean == pytest.approx(1)


def test_sampled_anchors_have_intervals_that_cover_the_truth() -> None:
    exact, some = measured(SMALL), measured(SMALL, SAMPLED, exact=False)
    covered = []
    for name, factor in exact.items():
        for field in ("total", "main", "interaction", "amount", "direction", "weighted", "first"):
            truth, found = getattr(factor, field).mean, getattr(some[name], field)
            slack = 1e-5 * abs(truth)
            covered.append(found.low - slack <= truth <= found.high + slack)
            assert found.mean == pytest.approx(truth, rel=0.35, abs=0.03)
        assert not some[name].moments_known or len(some[name].anchors) == len(factor.anchors)
    assert sum(covered) >= 0.85 * len(covered)


def test_exact_moments_and_sampled_directions_go_together() -> None:
    found = measured(SMALL, SAMPLED)
    for name, factor in measured(SMALL).items():
        assert found[name].total == factor.total
        assert found[name].main == factor.main
        assert len(found[name].along) == min(48, len(factor.amounts))


def test_factors_with_too_many_anchors_for_all_pairs_are_sampled() -> None:
    plan = Plan(anchors=40, most=50)
    found = measured(SMALL, plan)
    assert [len(factor.along) for factor in found.values()] == [40, 40, 40, 48, 48]
    assert [factor.directions_known for factor in found.values()] == [False, False, False, True, True]
    assert all(factor.moments_known for factor in found.values())


def test_components_of_a_sample_are_close_to_those_of_all() -> None:
    signal = image_signal(SMALL)
    whole, some = global_components(signal, whole=True), global_components(signal, whole=False, points=150)
    images = every(signal).flatten(0, -2)
    values = torch.linalg.eigvalsh(torch.cov(images.T, correction=0)).flip(0)
    assert whole.eigenvalues[:5].tolist() == pytest.approx(values[:5].tolist())
    assert whole.explained == pytest.approx(float(values[: len(whole.eigenvalues)].sum() / values.sum()))
    assert some.sampled == 150
    captured = ((images - images.mean(0)) @ some.vectors[:8].double().T).square().mean(0).sum()
    assert 0.85 * float(values[:8].sum()) < float(captured) <= float(values[:8].sum())


def test_large_grids_use_randomised_components(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = image_signal(SMALL)
    exact = global_components(signal, whole=True)
    monkeypatch.setattr("disentangle_pl.studies.variance_components.SMALL", 10)
    found = global_components(signal, whole=True)
    assert found.eigenvalues[:8].tolist() == pytest.approx(exact.eigenvalues[:8].tolist(), rel=1e-3)


def test_steps_are_central_and_one_sided_at_the_edge() -> None:
    signal = noise(3, 2)
    rows = every(signal)
    found = steps(signal, [0, 1], torch.tensor([2, 0]))
    torch.testing.assert_close(found[0, 0], (rows[2, 0] - rows[0, 0]) / 2)
    torch.testing.assert_close(found[1, 0], rows[1, 0] - rows[0, 0])
    torch.testing.assert_close(found[:, 1], rows[[1, 0], 1] - rows[[1, 0], 0])


@pytest.mark.parametrize("base", [CosineFactors(3, 8, 1.2), Sprites(32, [0], [5], [0])], ids=["cosines", "sprites"])
def test_perturbations_turn_local_directions_more_than_noise_does(base: FactorDataset) -> None:
    pair = Perturbed(base).columns
    points = base.factors.to_index(base.factors.sample(48, torch.Generator().manual_seed(0)))
    found = []
    for data in (base, Noised(base), Perturbed(base)):
        signal = image_signal(data)
        components = global_components(signal, whole=True)
        found.append(float(step_alignment(signal, components, points, pair).alignment.mean()))
    original, noised, perturbed = found
    assert perturbed < noised
    assert perturbed < 0.75 * original


def test_profiles_are_means_over_the_rest() -> None:
    data = ColourSize(positions=3)
    found = measured(data)
    space = data.factors
    assert profile(space, found["colour"], 1).tolist() == pytest.approx([0.84, 3.36, 7.56, 13.44, 21.0], rel=1e-5)
    over = profile(space, found["colour"], 1, 2)
    assert over.shape == (5, 3)
    assert over[:, 2].tolist() == pytest.approx([0.84, 3.36, 7.56, 13.44, 21.0], rel=1e-5)
    few = measured(data, Plan(anchors=8, complete=0), exact=False)
    assert torch.isnan(profile(space, few["x"], 0, 1)).any()


class Fake:
    """A model whose codes are given functions of the factors, and whose decoder is linear."""

    def __init__(self, codes: Tensor, columns: Tensor) -> None:
        self.codes, self.columns, self.device = codes, columns, torch.device("cpu")

    def encode(self, images: Tensor) -> Any:
        class Posterior:
            mean = self.codes[images.flatten(1)[:, 0].long()]

        return Posterior

    def decode(self, z: Tensor) -> Tensor:
        return (z @ self.columns).view(len(z), 1, 2, 2)


class Numbers(FactorDataset):
    """Images whose first pixel is the grid index."""

    def __init__(self) -> None:
        self.factors, self.shape = FactorSpace("abc", (4, 3, 2)), (1, 2, 2)

    def images(self, index: Tensor) -> Tensor:
        images = torch.zeros(len(index), *self.shape)
        images[:, 0, 0, 0] = index
        images[:, 0, 1, :] = self.factors.to_factors(index)[:, 1:]
        return images


def fake(codes: Tensor) -> Any:
    return Fake(codes.float(), torch.eye(4)[: codes.shape[1]])


@pytest.mark.parametrize("whole", [True, False])
def test_switching_encodings_are_found(whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not whole:
        monkeypatch.setattr("disentangle_pl.studies.variance_model.ENCODED", 0)
    data = Numbers()
    a, b, c = data.factors.to_factors(torch.arange(24)).unbind(1)
    codes = encode_grid(fake(torch.stack([a * (c == 0), a * (c == 1), b, 0 * a], 1)), data)
    assert codes.active.tolist() == [True, True, True, False]
    first, second, third = measure_encoding(codes, Plan())
    assert first.spread.mean == pytest.approx(0, abs=1e-6)
    assert first.switching.mean == pytest.approx(0.5)
    assert first.inconsistency.mean == pytest.approx(torch.tensor(2.0).log().item() / torch.tensor(3.0).log().item())
    assert (second.spread.mean, second.inconsistency.mean) == pytest.approx((0, 0), abs=1e-6)
    assert third.spread.mean > 0.5
    assert first.known
    assert first.anchors == 6


def test_codes_of_any_program_are_measured_in_any_order(tmp_path: Path) -> None:
    factors = Numbers().factors.to_factors(torch.arange(24)).numpy()
    a, b, c = factors.T
    codes = np.stack([a * (c == 0), a * (c == 1), b], 1).astype(np.float32)
    order = np.random.default_rng(0).permutation(24)
    np.savez(
        tmp_path / "codes.npz", codes=codes[order], factors=factors[order] * 10 - 5, names=np.array(["a", "b", "c"])
    )
    main(["variance", f"--codes={tmp_path / 'codes.npz'}", f"--out={tmp_path / 'out'}"])
    table = pd.read_csv(tmp_path / "out" / "variance.tsv", sep="\t").set_index(["factor", "measure"])["value"]
    assert table["a", "switching"] == pytest.approx(0.5)
    assert table["b", "axis spread"] == pytest.approx(0, abs=1e-6)
    assert "a: spread over latents 0.000" in (tmp_path / "out" / "findings.md").read_text()


def test_codes_that_never_vary_are_refused_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = Numbers().factors.to_factors(torch.arange(24)).numpy()
    np.savez(tmp_path / "codes.npz", codes=np.ones((24, 2), np.float32), factors=factors)
    said = refused(capsys, "variance", f"--codes={tmp_path / 'codes.npz'}", f"--out={tmp_path / 'out'}")
    assert "no column of the codes" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "kinds", "message"),
    [
        (list(range(23)), True, "23 rows of codes are not one for each of the 24"),
        ([*range(23), 0], True, "24 rows of codes are not one"),
        (list(range(24)), False, "give integers"),
    ],
)
def test_codes_of_part_of_a_grid_are_refused(rows: list[int], kinds: bool, message: str) -> None:
    factors = Numbers().factors.to_factors(torch.tensor(rows)).numpy()
    codes = np.ones((len(rows), 2), np.float32)
    truth = GroundTruth(factors.astype(np.float64), np.array([kinds] * 3))
    with pytest.raises(InputError, match=message):
        table_codes(CodeTable(codes, truth, ("a", "b", "c")))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array(["a", "b"]), "numeric array"),
        (np.empty((0, 2)), "at least 2 rows"),
        (np.ones((24, 2, 1)), "numeric array"),
        (np.ones((23, 2)), "pairs of codes and factors"),
        (np.full((24, 2), np.nan), "NaN or infinite"),
    ],
)
def test_codes_that_are_none_are_refused(codes: np.ndarray, message: str) -> None:
    factors = Numbers().factors.to_factors(torch.arange(24)).numpy()
    truth = GroundTruth(factors.astype(np.float64), np.array([True] * 3))
    with pytest.raises(InputError, match=message):
        table_codes(CodeTable(codes, truth, ("a", "b", "c")))


def test_a_model_is_measured_with_its_decoder() -> None:
    data = Numbers()
    a, b, c = data.factors.to_factors(torch.arange(24)).unbind(1)
    study: Study = study_variance(data, fake(torch.stack([3.0 * a, 2.0 * b, 0.7 * c], 1)), Plan(), None)
    found = {(line.signal, line.factor, line.measure): line.value for line in study.lines}
    assert found["codes", "a", "axis spread"] == pytest.approx(0, abs=1e-6)
    assert found["decoder", "", "distance to orthogonality"] == pytest.approx(0, abs=1e-6)
    assert found["decoded images", "", "global alignment"] == pytest.approx(1)
    assert found["decoded images", "a", "variance"] == pytest.approx(9 * 1.25)
    assert list(study.tables["shares"].columns) == ["factor", "latent_0", "latent_1", "latent_2"]
    assert set(study.pictures) == {"variance", "heat", "directions", "shares"}


def test_a_collapsed_model_is_told_and_a_broken_one_refused() -> None:
    data = Numbers()
    study = study_variance(data, fake(torch.zeros(24, 2)), Plan(), None)
    assert any("No latent is active" in remark for remark in study.remarks)
    with pytest.raises(InputError, match="NaN"):
        study_variance(data, fake(torch.full((24, 2), torch.nan)), Plan(), None)


def test_decoded_factors_without_effect_are_no_error() -> None:
    data = Numbers()
    a = data.factors.to_factors(torch.arange(24))[:, :1]
    study = study_variance(data, fake(a.float()), Plan(), None)
    values = [line.value for line in study.lines]
    assert all(value == value for value in values)


class Still(Numbers):
    """Images that ignore the last factor."""

    def images(self, index: Tensor) -> Tensor:
        return (index // 2 * 2).float().view(-1, 1, 1, 1).expand(-1, *self.shape)


def test_bad_data_are_refused() -> None:
    with pytest.raises(InputError, match="factor c changes no image"):
        study_variance(Still(), None, Plan(), None)
    with pytest.raises(InputError, match="two factors at least"):
        study_variance(Sprites(16, [0], [0], [0], [0]), None, Plan(), None)
    with pytest.raises(InputError, match="raise --memory"):
        exact_moments(noise(2, 40, width=2**14), memory=1)
    with pytest.raises(InputError, match="too much for 8 anchors"):
        measured(SMALL, Plan(complete=0, memory=0), exact=False)
    with pytest.raises(InputError, match="all images are the same"):
        global_components(table_signal(FactorSpace("ab", (2, 2)), torch.ones(4, 3)), whole=True)
    broken = table_signal(FactorSpace("ab", (2, 2)), torch.full((4, 3), torch.inf))
    with pytest.raises(InputError, match="NaN or infinite"):
        global_components(broken, whole=True)
    with pytest.raises(InputError, match="NaN or infinite"):
        exact_moments(broken)


def test_a_factor_of_one_value_is_left_out() -> None:
    study = study_variance(Sprites(16, [0], [0, 5], [0, 7], [0, 31], [0, 31]), None, Plan(), None)
    assert "shape has one value only and was left out." in study.remarks
    assert {line.factor for line in study.lines} == {"", "scale", "orientation", "x", "y"}


TOY = ["--data=SyntheticData", "--data.dataset=disentangle_pl.data.variance_toys.ColourSize"]


def test_the_command_writes_tables_pictures_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["variance", *TOY, f"--out={tmp_path}", "--gaussians=true"])
    table = pd.read_csv(tmp_path / "variance.tsv", sep="\t", keep_default_na=False)
    colour = table[(table["factor"] == "colour") & (table["measure"] == "direction consistency")]
    assert colour["value"].tolist() == pytest.approx([0.43], abs=1e-3)
    assert colour["anchors"].tolist() == ["all"]
    assert len(pd.read_csv(tmp_path / "profiles.tsv", sep="\t")) == 13
    assert len(pd.read_csv(tmp_path / "two_gaussians.tsv", sep="\t")) == 18
    for name in ("variance", "heat", "directions", "two_gaussians"):
        assert imread(tmp_path / f"{name}.png").std() > 0
    said = (tmp_path / "findings.md").read_text()
    assert "colour induces different amounts of variance (consistency 0.618) in different directions (0.430)" in said
    assert "size 80%, colour 20%" in said
    assert "findings.md" in capsys.readouterr().out


def test_the_command_refuses_what_it_cannot_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert "needs data" in refused(capsys, "variance")
    assert "not both" in refused(capsys, "variance", *TOY, "--codes=codes.npz")
    assert "is a file" in refused(capsys, "variance", *TOY, f"--out={tmp_path / 'file'}")
    assert "at least 8" in refused(capsys, "variance", *TOY, "--anchors=2")
    assert "there is no checkpoint" in refused(capsys, "variance", *TOY, "--checkpoint=nowhere.ckpt")
    scans = ["--data=LongitudinalData", f"--data.root={tmp_path}", "--data.size=[16,16,16]", "--data.spacing=6"]
    assert "no such grid" in refused(capsys, "variance", *scans, f"--out={tmp_path / 'out'}")


def test_the_command_measures_a_checkpoint_on_the_data_of_its_run(tmp_path: Path) -> None:
    run("fit", *TINY, "--trainer.max_epochs=1", f"--runs_dir={tmp_path / 'runs'}", "--run_id=mine")
    checkpoint = tmp_path / "runs" / "mine" / "checkpoints" / "last.ckpt"
    main(["variance", f"--checkpoint={checkpoint}", f"--out={tmp_path / 'out'}", "--anchors=8", "--exact=false"])
    table = pd.read_csv(tmp_path / "out" / "variance.tsv", sep="\t", keep_default_na=False)
    assert {"images", "decoded images", "codes", "decoder"} >= set(table["signal"]) >= {"images"}
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert not table.isna().any(axis=None)


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shape"):
        report_variance(SyntheticData(ColourSize()), tmp_path, model=tiny((1, 16, 16)))


def test_few_points_of_a_decoder_have_the_interval_of_student() -> None:
    values = torch.tensor([0.2, 0.5, 0.6], dtype=torch.float64)
    half = 4.302653 * float(values.std()) / 3**0.5
    mean = float(values.mean())
    line = means_line("decoder", "alignment", values, "3 points")
    assert (line.low, line.high) == pytest.approx((mean - half, mean + half), abs=1e-6)
    assert means_line("decoder", "alignment", values, "all")[3:6] == pytest.approx((mean, mean, mean))
