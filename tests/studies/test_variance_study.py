"""The study of scores and variance on made-up runs whose answer is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.studies.run_table import tidy
from disentangle_pl.studies.variance_study_effects import (
    DATA_SETS,
    FACTORS,
    INTERACTION,
    RUNS,
    effects,
    ranks,
    settings,
)
from disentangle_pl.studies.variance_study_measures import Measured, matched, read_measures
from disentangle_pl.studies.variance_study_runs import arrange_runs, factor_rows
from disentangle_pl.studies.variance_study_words import findings, rank_sentences
from tests.command_line import refused, run
from tests.studies.run_folders import make_run

MIG = "disentanglement/mig"
ORDERED, BETA = "disentangle_pl.models.ordered_vae.OrderedVAE", "disentangle_pl.models.beta_vae.BetaVAE"
TOYS = "disentangle_pl.data.variance_toys."


def made(sets: int = 6, seeds: int = 3, *, gap: float = 0.1, ordered: float = 0.0) -> pd.DataFrame:
    """Runs whose score rises with the log gap, and for ordered latents with consistency too."""
    random = np.random.default_rng(0)
    rows = []
    for k in range(sets):
        log_gap, consistency, offset = k / 2, (k * 7 % sets) / sets, 0.03 * random.normal()
        for model, strength in (("BetaVAE", 1.0), ("BetaVAE", 4.0), ("OrderedVAE", np.nan)):
            for seed in range(seeds):
                is_ordered = model == "OrderedVAE"
                mig = 0.2 + gap * log_gap + offset + ordered * is_ordered * consistency + 0.02 * random.normal()
                rows.append({
                    "run": f"{k}-{model}-{strength}-{seed}", "data_set": f"set {k}", "model": model,
                    "strength": strength, "ordered": is_ordered, "seed": seed, "seconds": 60.0, MIG: mig,
                    "log_gap": log_gap, "amount_consistency": consistency, "direction_consistency": np.nan,
                    "local_alignment": np.nan, "local_global_discrepancy": np.nan, "axis_spread": np.nan,
                    "encoding_inconsistency": 0.5 - mig + 0.01 * random.normal(), "switching": np.nan,
                })  # fmt: skip
    return pd.DataFrame(rows)


def one(table: pd.DataFrame, level: str, measure: str, outcome: str = MIG) -> pd.Series:
    (position,) = np.flatnonzero(
        (table["level"] == level) & (table["measure"] == measure) & (table["outcome"] == outcome)
    )
    return table.iloc[int(position)]


def test_an_effect_over_data_sets_is_found_with_the_freedom_of_data_sets() -> None:
    runs = made()
    found = one(effects(runs, pd.DataFrame(), [MIG]), DATA_SETS, "log_gap")
    per_deviation = 0.1 * float(runs["log_gap"].std(ddof=0))
    assert found["low"] < per_deviation < found["high"]
    assert found["p"] < 0.05
    assert (found["units"], found["rows"]) == (6, 54)
    means = runs.groupby("data_set")[[MIG, "log_gap"]].mean()
    x = np.column_stack([np.ones(6), means["log_gap"] / runs["log_gap"].std(ddof=0)])
    slopes, rest, *_ = np.linalg.lstsq(x, means[MIG].to_numpy(), rcond=None)
    error = np.sqrt(rest[0] / 4 * np.linalg.inv(x.T @ x)[1, 1])  # balanced: six means, not 54 runs
    assert found["slope"] == pytest.approx(slopes[1])
    assert found["high"] - found["slope"] == pytest.approx(
        2.776445 * error, rel=0.02
    )  # t quantile, 4 degrees of freedom


def test_a_measure_without_effect_is_not_found() -> None:
    table = effects(made(gap=0.0), pd.DataFrame(), [MIG])
    assert one(table, DATA_SETS, "log_gap")["p"] > 0.05
    assert "not found beyond chance" in findings(table, made())[0]


def test_two_data_sets_are_too_few_and_the_reason_is_said() -> None:
    runs = made(sets=2)
    table = effects(runs, pd.DataFrame(), [MIG])
    assert "three are needed" in one(table, DATA_SETS, "log_gap")["note"]
    said = findings(table, runs)
    assert "not tested (2 data sets with this measure, and three are needed)" in said[0]
    assert said[-1].startswith("2 data sets are few")


def test_ordered_latents_have_a_slope_of_their_own() -> None:
    found = one(effects(made(ordered=0.4), pd.DataFrame(), [MIG]), INTERACTION, "amount_consistency")
    assert found["slope"] == pytest.approx(0.4 * float(made()["amount_consistency"].std(ddof=0)), abs=0.02)
    assert found["p"] < 0.05
    assert abs(one(effects(made(), pd.DataFrame(), [MIG]), INTERACTION, "amount_consistency")["slope"]) < 0.02
    plain = made()[~made()["ordered"]]
    assert "both needed" in one(effects(plain, pd.DataFrame(), [MIG]), INTERACTION, "amount_consistency")["note"]


def test_runs_are_compared_within_data_sets_and_settings() -> None:
    found = one(effects(made(seeds=6), pd.DataFrame(), [MIG]), RUNS, "encoding_inconsistency")
    assert found["slope"] < 0
    assert found["p"] < 0.05


def test_methods_without_a_strength_have_effects_of_their_own() -> None:
    rows = made()
    other = rows[rows["ordered"]].assign(model="BetaTCVAE", ordered=False, encoding_inconsistency=0.9)
    other[MIG] += 5.0  # a method that scores more, and whose encodings are less consistent
    both = pd.concat([rows, other], ignore_index=True)
    assert settings(both).nunique() == 4
    found = one(effects(both, pd.DataFrame(), [MIG]), RUNS, "encoding_inconsistency")
    assert -0.5 < found["slope"] < 0


def test_factors_are_compared_within_their_data_set() -> None:
    rows = []
    random = np.random.default_rng(1)
    for k in range(2):
        for j in range(5):
            for seed in range(4):
                rows.append({
                    "run": f"{k}-{seed}", "data_set": f"set {k}", "model": "BetaVAE", "strength": 1.0, "ordered": False,
                    "seed": seed, "factor": f"f{j}", "mig": 0.1 * j - k + 0.02 * random.normal(),
                    "log_gap": j + 3.0 * k,
                })  # fmt: skip
    table = effects(made(sets=2), pd.DataFrame(rows), [MIG])
    found = one(table, FACTORS, "log_gap", "mig")
    assert found["units"] == 10
    assert found["slope"] > 0 > found["p"] - 0.05  # though the data set with larger gaps scores less
    assert found["slope"] == pytest.approx(0.1 * float(pd.DataFrame(rows)["log_gap"].std(ddof=0)), rel=0.05)


def test_ranks_have_permutation_p_values() -> None:
    table = ranks(made(seeds=6), [MIG])
    over = table[(table["data_set"] == "all") & (table["with"] == "log_gap")].iloc[0]
    assert over["rho"] > 0.9
    assert over["p"] < 0.05
    assert over["n"] == 6
    assert set(table[table["data_set"] == "set 0"]["with"]) == {"encoding_inconsistency"}  # two strengths are too few
    assert f"of {len(table)} rank correlations" in rank_sentences(table)[0]


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    """Write runs of two toys with two models and two seeds."""
    for toy, base in (("ColourSize", 0.2), ("ColourPatch", 0.5)):
        for model, beta in ((BETA, 1), (BETA, 4), (ORDERED, 1)):
            for seed in (0, 1):
                mig = base + 0.01 * beta + 0.003 * seed
                text = f"step,train/loss,{MIG},disentanglement/mig_colour,disentanglement/mig_size\n"
                name = f"{toy}-{model.rpartition('.')[2]}-{beta}-{seed}"
                data = {"class_path": "SyntheticData", "init_args": {"dataset": {"class_path": TOYS + toy}}}
                data["init_args"]["dataset"]["init_args"] = {"positions": 4}  # type: ignore[index]
                where = tmp_path / "runs" / name
                make_run(where, seed=seed, rows=f"{text}1,9,{mig},{mig},{mig / 2}\n", data=data)
                config = yaml.safe_load((where / "config.yaml").read_text())
                config["model"] = {"class_path": model, "init_args": {"beta": beta}}
                (where / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "runs"


def write_measures(
    folder: Path, consistency: float, signal: str = "images", measure: str = "amount consistency"
) -> None:
    """Write what the verb `variance` writes."""
    folder.mkdir(parents=True)
    rows = [(signal, factor, measure, consistency + j, 0, 0, "all") for j, factor in enumerate(("colour", "size"))]
    rows += [("images", "", "local alignment", 0.7, 0, 0, "all"), ("images", "", "heterogeneity", 9.0, 0, 0, "all")]
    columns = ["signal", "factor", "measure", "value", "low", "high", "anchors"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "variance.tsv", sep="\t", index=False)


def test_measures_find_their_runs_by_name_and_by_settings(runs_folder: Path, tmp_path: Path) -> None:
    write_measures(tmp_path / "m" / "colour_size", 0.2)
    write_measures(tmp_path / "m" / "other", 0.4)
    (tmp_path / "m" / "other" / "config.yaml").write_text(
        yaml.safe_dump({"data": {"init_args": {"dataset": {"class_path": f"{TOYS}ColourPatch"}}}})
    )
    write_measures(tmp_path / "m" / "ColourSize-BetaVAE-4-0", 0.1, "codes", "encoding inconsistency")
    measured = read_measures([tmp_path / "m"])
    table = tidy([runs_folder])
    runs = arrange_runs(table, [MIG], measured).set_index("run")
    assert runs["data_set"].value_counts().to_dict() == {"ColourPatch": 6, "ColourSize": 6}
    assert runs.loc["ColourSize-BetaVAE-1-0", "amount_consistency"] == pytest.approx(0.7)  # the mean of two factors
    assert runs.loc["ColourPatch-OrderedVAE-1-1", "amount_consistency"] == pytest.approx(0.9)
    assert runs.loc["ColourPatch-OrderedVAE-1-1", "local_alignment"] == pytest.approx(0.7)
    assert runs["encoding_inconsistency"].notna().sum() == 1
    assert runs.loc["ColourSize-BetaVAE-4-0", "encoding_inconsistency"] == pytest.approx(0.6)
    assert runs.loc["ColourSize-BetaVAE-4-0", "strength"] == 4
    assert np.isnan(runs["strength"]["ColourSize-OrderedVAE-1-0"])
    assert runs["ordered"].sum() == 4
    factors = factor_rows(table, runs.reset_index(), measured)
    assert len(factors) == 24
    mine = factors[(factors["run"] == "ColourSize-BetaVAE-4-0") & (factors["factor"] == "size")].iloc[0]
    assert (mine["mig"], mine["amount_consistency"]) == (pytest.approx(0.12), pytest.approx(1.2))


def test_measures_of_no_run_are_refused(runs_folder: Path, tmp_path: Path) -> None:
    runs = arrange_runs(tidy([runs_folder]), [MIG], [])
    with pytest.raises(InputError, match="the measures cars belong to no run: name the folder as a run or as one of"):
        matched(runs, [Measured("cars", {}, {}, {})])
    with pytest.raises(InputError, match="there are no measures at"):
        read_measures([tmp_path / "nowhere"])
    (tmp_path / "wide.tsv").write_text("name\tlog_gap\na\t1\n")
    with pytest.raises(InputError, match="no column run or data_set"):
        read_measures([tmp_path / "wide.tsv"])


def test_a_wide_table_does_too(runs_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wide.tsv").write_text("data_set\tlog_gap\tnotes\nColourSize\t0.5\ta\nColourPatch\t1.5\tb\n")
    runs = arrange_runs(tidy([runs_folder]), [MIG], read_measures([tmp_path / "wide.tsv"]))
    assert runs.groupby("data_set")["log_gap"].first().to_dict() == {"ColourSize": 0.5, "ColourPatch": 1.5}


def test_the_verb_writes_tables_pictures_and_words(
    runs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_measures(tmp_path / "m" / "colour_size", 0.2)
    write_measures(tmp_path / "m" / "colour_patch", 0.4)
    out = tmp_path / "out"
    run("study", str(runs_folder), "--measures", str(tmp_path / "m"), "--scores", "mig", f"--out={out}")
    said = capsys.readouterr().out
    assert (
        "12 models (0 more runs did not finish with these scores): 2 data sets, 2 methods, 3 settings, 2 seeds" in said
    )
    assert "not tested (2 data sets with this measure, and three are needed" in said
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "runs.tsv",
        "factors.tsv",
        "effects.tsv",
        "ranks.tsv",
        "findings.md",
        "data_sets.png",
        "factors.png",
    }
    assert pd.read_csv(out / "runs.tsv", sep="\t")["seconds"].sum() == 12 * 12.5
    run("study", str(runs_folder), "--scores", "mig", f"--out={tmp_path / 'bare'}")  # without measures
    assert "not tested" in capsys.readouterr().out


def test_wrong_input_is_one_sentence(runs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"--out={tmp_path / 'out'}"
    assert "no run folder or export at" in refused(capsys, "study", str(tmp_path / "nowhere"), out)
    assert "no run has the score" in refused(capsys, "study", str(runs_folder), "--scores", "fame", out)
    assert not (tmp_path / "out").exists()
