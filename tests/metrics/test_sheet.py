import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics import references as remembered
from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.information import discretise, even_codes
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.references import DRAWS, ENDS, full_sheet, reference_codes, references
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Checked, Codes, GroundTruth, ground_truth, held_out_rows, train_test
from disentangle_pl.metrics.sheet import (
    ALL,
    QUICK,
    REFERENCE_ERROR,
    Entry,
    Line,
    alone,
    cautions,
    score_codes,
    with_even_bins,
)
from tests.metrics.golden import draw

FACTORS = draw((4, 5, 6), 900)
PERFECT = perfect_codes(FACTORS, 4)
ROTATION_SEERS = ("mig", "dci_disentanglement", "dci_completeness", "infom", "infoc", "mig_sup", "dcimig", "mcc")


def by_name(lines: list[Line]) -> dict[str, Line]:
    return {line.name: line for line in lines}


def mig_of_train(codes: Codes) -> float:
    """Score the rows that are not held out."""
    return mig(codes[~held_out_rows(900)], FACTORS[~held_out_rows(900)])


def modularity_of_train(codes: Codes) -> float:
    """Score the rows that are not held out."""
    return modularity(codes[~held_out_rows(900)], FACTORS[~held_out_rows(900)])


@pytest.fixture(scope="module")
def whole() -> dict[str, Line]:
    return by_name(full_sheet(PERFECT, FACTORS, ALL)[0])


def test_a_perfect_code_reaches_every_ceiling_far_from_the_floor(whole: dict[str, Line]) -> None:
    assert len(whole) > 20
    for line in whole.values():
        assert line.value == line.ceiling, line
        assert all(math.isfinite(number) for number in line[1:]), line
    assert all(whole[name].ceiling > whole[name].floor + 0.1 for name in ROTATION_SEERS)


def test_scores_that_claim_to_see_a_rotation_do(whole: dict[str, Line]) -> None:
    for name in ROTATION_SEERS:
        assert whole[name].rotated < whole[name].ceiling - 0.02, name
    assert whole["explicitness"].rotated == pytest.approx(whole["explicitness"].ceiling, abs=0.05)


def test_noise_is_at_the_floor_of_the_quick_scores() -> None:
    lines, _ = full_sheet(noise_codes(900, 4, seed=1), FACTORS, QUICK)
    for name, room in {"mig": 0.02, "modularity": 0.25, "sap": 0.07}.items():
        assert by_name(lines)[name].value == pytest.approx(by_name(lines)[name].floor, abs=room)


def test_fewer_latents_than_factors_have_a_floor_alone() -> None:
    lines, scored = full_sheet(PERFECT[:, :1], FACTORS, QUICK)
    assert set(scored.refused) == {"mig", "sap"}
    assert "2 latents" in scored.refused["mig"]
    assert {line.name for line in lines} == {"modularity", "modularity_active", "active_units"}
    assert all(math.isnan(line.ceiling) and math.isfinite(line.floor) for line in lines)


def test_scores_use_the_rows_to_fit_and_probes_the_rows_to_test() -> None:
    seen: list[int] = []

    def compute(train: Checked, test: Checked) -> dict[str, float]:
        seen.extend((len(train[0]), len(train[1]), len(test[0]), len(test[1])))
        return {"one": 1.0}

    entry = Entry(compute, compute)

    score_codes(PERFECT, FACTORS, [("one", entry)])
    score_codes(PERFECT, FACTORS, [("one", entry)], test=(PERFECT[:60], FACTORS[:60]))
    assert seen == [600, 600, 300, 300, 900, 900, 60, 60]


def test_quantities_and_missing_values_pass_through_the_whole_sheet() -> None:
    values = FACTORS.astype(float)
    values[::7, 0] = np.nan
    values[:, 1] += np.random.default_rng(0).normal(0, 0.1, 900)
    truth = GroundTruth(values, np.array([True, False, True]))
    scored = score_codes(perfect_codes(truth, 4), truth, ALL.items())
    assert not scored.refused
    assert all(math.isfinite(value) for value in scored.values.values())
    assert scored.values["mig"] > 0.5


def test_codes_no_score_can_use_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="NaN"):
        score_codes(np.where(PERFECT > 1, np.nan, PERFECT), FACTORS, ALL.items())


def test_references_are_remembered_until_the_factors_change(tmp_path: Path) -> None:
    computed = dict.fromkeys(QUICK, 0)

    def counted(name: str, entry: Entry) -> Entry:
        def compute(train: Checked, test: Checked) -> Mapping[str, float]:
            computed[name] += 1
            return entry(train, test)

        return Entry(entry.score, compute)

    entries = {name: counted(name, entry) for name, entry in QUICK.items()}
    first = references(FACTORS, 4, entries, folder=tmp_path)
    assert set(computed.values()) == {2 * DRAWS + 1}
    assert references(FACTORS.copy(), 4, entries, folder=tmp_path) == first
    only = references(FACTORS, 4, {"mig": entries["mig"]}, folder=tmp_path)
    assert only["floor"] == {"mig": first["floor"]["mig"]}
    assert set(computed.values()) == {2 * DRAWS + 1}
    grouped = ground_truth(FACTORS, np.arange(900) // 3)
    for factors, latents in ((FACTORS[::-1], 4), (FACTORS, 5), (grouped, 4)):
        references(factors, latents, {"mig": entries["mig"]}, folder=tmp_path)
    assert computed["mig"] == 4 * computed["sap"]
    assert len(list(tmp_path.iterdir())) == len(QUICK) + 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"floor": {}}', '{"floor": {"mig": []}, "rotated": 1, "ceiling": {}}']
)
def test_a_damaged_memory_is_made_again(text: str, tmp_path: Path) -> None:
    entries = {"mig": QUICK["mig"]}
    first = references(FACTORS, 4, entries, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    assert references(FACTORS, 4, entries, folder=tmp_path) == first
    assert set(json.loads(path.read_text())) == set(ENDS)


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert references(FACTORS, 4, QUICK, folder=tmp_path / "file") == references(FACTORS, 4, QUICK)


def test_own_scores_are_never_remembered(tmp_path: Path) -> None:
    own = {"mig": alone("mig", lambda codes, factors: 1 - mig(codes, factors))}
    lines, _ = full_sheet(PERFECT, FACTORS, own, folder=tmp_path)
    assert by_name(lines)["mig"].ceiling < 0.05
    assert not list(tmp_path.iterdir())


def test_test_rows_of_ones_own_have_references_too() -> None:
    test = (PERFECT[600:], FACTORS[600:])
    ((line,), _) = full_sheet(PERFECT[:600], FACTORS[:600], {"sap": ALL["sap"]}, test=test)
    assert line.value == sap(PERFECT[:600], FACTORS[:600], test=test)
    draws = {
        end: [sap(codes[:600], FACTORS[:600], test=(codes[600:], FACTORS[600:])) for codes in tables]
        for end, tables in reference_codes(FACTORS, 4).items()
    }
    assert line.floor == pytest.approx(np.mean(draws["floor"]))
    assert (line.rotated_low, line.rotated_high) == (min(draws["rotated"]), max(draws["rotated"]))
    assert [line.ceiling] == draws["ceiling"]


def test_floors_and_rotations_are_means_and_ranges_of_five_draws(whole: dict[str, Line]) -> None:
    assert DRAWS == 5
    for line in whole.values():
        assert line.floor_low <= line.floor <= line.floor_high, line
        assert line.rotated_low <= line.rotated <= line.rotated_high, line
    assert whole["mig"].rotated_low < whole["mig"].rotated_high - 0.02
    noise = [mig_of_train(noise_codes(900, 4, seed=seed)) for seed in range(5)]
    line = whole["mig"]
    assert (line.floor, line.floor_low, line.floor_high) == pytest.approx((np.mean(noise), min(noise), max(noise)))


def test_scores_whose_chance_is_high_say_so(whole: dict[str, Line]) -> None:
    high = {name for name, line in whole.items() if line.high_chance}
    assert {"modularity", "explicitness", "infom", "irs", "dci_es_explicitness"} < high
    assert not {"mig", "sap", "dci_disentanglement", "modularity_corrected", "mcc"} & high
    assert Line("low", 0.9, 0.2, 0.5, 1.0).high_chance is False
    assert Line("high", 0.9, 0.3, 0.5, 1.0).high_chance is True
    assert Line("unknown", 0.9).high_chance is False


def test_collapsed_latents_count_apart() -> None:
    """Three latents hold a factor each, and seven, too small to be active, have a shadow of it."""
    shadow = FACTORS[:, [0, 1, 2, 0, 1, 2, 0]] * 1e-3
    codes = np.hstack([perfect_codes(FACTORS, 3), shadow + np.random.default_rng(0).normal(0, 1e-3, shadow.shape)])
    values = score_codes(codes, FACTORS, [(name, ALL[name]) for name in ("active", "modularity", "corrected")]).values
    assert values["active_units"] == values["informative_latents_active"] == 3
    assert values["informative_latents"] == 10
    assert values["modularity_active"] == modularity_of_train(codes[:, :3]) > values["modularity"] + 0.01
    assert values["modularity_corrected_active"] == 1


def test_no_active_latent_has_no_modularity() -> None:
    entries = [(name, ALL[name]) for name in ("modularity", "corrected")]
    scored = score_codes(PERFECT * 1e-3, FACTORS, entries)
    assert not scored.refused
    assert scored.values["modularity"] > 0.8
    active = ("modularity_active", "modularity_corrected_active", "informative_latents_active")
    assert [scored.values[name] for name in active] == [0, 0, 0]


def test_units_other_than_those_of_a_vae_are_cautioned_of() -> None:
    rare = np.arange(900)[:, None] > np.array([895, 450])
    assert cautions(PERFECT) == cautions(np.zeros((9, 2))) == cautions(rare) == []
    for factor in (0.01, 100):
        (remark,) = cautions(PERFECT * factor)
        assert f"standard deviation of {factor * PERFECT.std(axis=0).max():.3g}" in remark
        assert "--standardise=true" in remark


def test_an_outlier_is_cautioned_of_and_even_bins_do_not_mind_it() -> None:
    outlier = PERFECT.copy()
    outlier[17, 1] = 200.0
    entries = {"mig": QUICK["mig"], "modularity": QUICK["modularity"], "sap": QUICK["sap"]}
    (remark,) = [remark for remark in cautions(outlier) if "rows" in remark]
    assert "latents [1]" in remark
    assert "17" in remark
    assert "--bins=quantile" in remark
    even = with_even_bins(entries)
    values = [
        score_codes(codes, FACTORS, used.items()).values["mig"]
        for codes, used in ((PERFECT, entries), (outlier, entries), (outlier, even), (PERFECT, even))
    ]
    assert values[1] < values[0] - 0.2
    assert values[2] == pytest.approx(values[0], abs=0.02)
    assert values[3] == pytest.approx(values[0], abs=0.02)
    assert even["sap"] is entries["sap"]


def test_bins_of_equally_many_rows() -> None:
    codes = np.stack([np.random.default_rng(0).lognormal(0, 2, 400), np.zeros(400), np.repeat([1, 7], 200)], axis=1)
    even = even_codes(codes)
    np.testing.assert_array_equal(np.unique(discretise(even)[:, 0], return_counts=True)[1], [20] * 20)
    np.testing.assert_array_equal(np.argsort(even[:, 0], kind="stable"), np.argsort(codes[:, 0], kind="stable"))
    assert even.std(axis=0)[0] == pytest.approx(codes.std(axis=0)[0], rel=0.01)
    assert len(np.unique(even[:, 1])) == 1
    assert len(np.unique(even[:, 2])) == 2


def test_the_code_of_a_score_decides_how_long_its_floors_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, edited = remembered._source, {"disentangle_pl.metrics.dci"}
    monkeypatch.setattr(remembered, "_source", lambda name: source(name) + b"# edited" * (name in edited))

    def files() -> set[str]:
        remembered.code_digest.cache_clear()
        references(FACTORS, 4, {name: QUICK[name] for name in ("mig", "sap")}, folder=tmp_path)
        return {path.name.split("-", 1)[1] for path in tmp_path.iterdir()}

    first = files()
    edited.add("disentangle_pl.metrics.explicitness")
    assert files() == first
    edited.add("disentangle_pl.metrics.sap")
    own = files() - first
    assert [name.split("-")[0] for name in own] == ["sap"]
    edited.add("disentangle_pl.metrics.score")
    assert len(files()) == 5
    remembered.code_digest.cache_clear()


@pytest.mark.parametrize("end", ["floor", "rotated", "ceiling"])
def test_the_references_of_dci_are_near_those_of_every_cut(end: str) -> None:
    factors = ground_truth(np.random.default_rng(0).integers(0, (3, 4), (8000, 2)))
    train, test = train_test(reference_codes(factors, 4, draws=1)[end][0], factors, None)
    entry = ALL["dci"]
    assert entry.reference is not None
    every, coarse = entry(train, test), entry.reference(train, test)
    assert coarse == pytest.approx(every, abs=1e-6 if end == "ceiling" else REFERENCE_ERROR)
    assert coarse != every
    if end == "floor":
        few = (train[0][:600], train[1][:600]), test
        assert entry.reference(*few) == entry(*few)


def test_all_three_ends_are_computed_the_faster_way() -> None:
    entry = Entry(mig, lambda train, test: {"mig": 1.0}, lambda train, test: {"mig": 0.25})
    ends = references(FACTORS, 4, {"mig": entry})
    assert [ends[end]["mig"].mean for end in ("floor", "rotated", "ceiling")] == [0.25, 0.25, 0.25]


def test_a_rotation_costs_nothing_that_levels_could_make() -> None:
    near, far = Line("dci_informativeness", 0.9, 0.1, 0.99, 1.0), Line("dci_informativeness", 0.9, 0.1, 0.55, 1.0)
    assert math.isnan(near.cost_of_rotation)
    assert far.cost_of_rotation == pytest.approx(0.5)
    assert near._replace(name="mig").cost_of_rotation == pytest.approx(0.01 / 0.9)
    assert math.isnan(Line("mig", 0.9, 0.96, 0.97, 1.0).cost_of_rotation)
    assert math.isnan(Line("mig", 0.9).cost_of_rotation)
