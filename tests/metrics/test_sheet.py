import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.references import DRAWS, ENDS, full_sheet, reference_codes, references
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Checked, GroundTruth, ground_truth
from disentangle_pl.metrics.sheet import ALL, QUICK, Entry, Line, alone, score_codes
from tests.metrics.golden import draw

FACTORS = draw((4, 5, 6), 900)
PERFECT = perfect_codes(FACTORS, 4)
ROTATION_SEERS = ("mig", "dci_disentanglement", "dci_completeness", "infom", "infoc", "mig_sup", "dcimig", "mcc")


def by_name(lines: list[Line]) -> dict[str, Line]:
    return {line.name: line for line in lines}


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
