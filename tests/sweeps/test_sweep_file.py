"""Sweep files: what is understood, and what is refused with a sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.sweeps.sweep_file import read_sweep

GRID: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"b": {"values": [1, 2]}, "a": {"value": 3}},
    "command": ["${env}", "x", "${args}"],
}


def written(folder: Path, **changes: Any) -> Path:
    """Write the sweep file above with some keys changed; None removes a key."""
    made = {key: value for key, value in (GRID | changes).items() if value is not None}
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


def test_a_sweep_is_read_with_its_keys_in_order(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path, run_cap=5, program="p.py"))
    assert [parameter.key for parameter in sweep.parameters] == ["a", "b"]
    assert [parameter.key for parameter in sweep.searched] == ["b"]
    assert sweep.metric == ("score", -1, None)
    assert (sweep.name, sweep.run_cap, sweep.program) == ("s", 5, "p.py")


def test_defaults_are_those_of_wandb(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path, metric={"name": "score"}, command=None))
    assert sweep.metric is not None
    assert sweep.metric.goal == "minimize"
    assert sweep.command == ("${env}", "${interpreter}", "${program}", "${args}")


@pytest.mark.parametrize(
    ("rule", "bands", "strict"),
    [
        ({"min_iter": 3}, (3, 9, 27), True),
        ({"min_iter": 2, "eta": 2, "strict": False}, (2, 4, 8), False),
        ({"max_iter": 27, "s": 2}, (3, 9), True),
        ({"max_iter": 10, "s": 5, "eta": 3}, (1, 3), True),
    ],
    ids=str,
)
def test_bands_of_hyperband(rule: dict[str, Any], bands: tuple[int, ...], strict: bool, tmp_path: Path) -> None:
    read = read_sweep(written(tmp_path, early_terminate={"type": "hyperband"} | rule)).early_terminate
    assert read is not None
    assert read.bands[:3] == bands
    assert read.strict is strict


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "simplex"}, "grid, random, bayes"),
        ({"method": None}, "grid, random, bayes"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": ["a"]}, "parameters"),
        ({"parameters": {"a": {"min": 0.0, "max": 1}}}, "give `values`"),
        ({"method": "bayes", "metric": None}, "metric"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1}, "metric": None}, "metric"),
        ({"metric": {"name": "score", "goal": "big"}}, "maximize"),
        ({"metric": "score"}, "maximize"),
        ({"metric": {"name": "score", "target": "high"}}, "target"),
        ({"command": "run"}, "command"),
        ({"run_cap": 0}, "run_cap"),
        ({"early_terminate": {"type": "median"}}, "hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "min_iter"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}}, "eta"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 2, "s": 2, "eta": 8}}, "hyperband"),
        ({"controller": 1}, "controller"),
    ],
    ids=str,
)
def test_what_is_no_sweep_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_sweep(written(tmp_path, **changes))
    assert "s.yaml" in str(caught.value) or "parameter" in str(caught.value)


def test_no_file_and_no_yaml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sweep file"):
        read_sweep(tmp_path / "nowhere.yaml")
    (tmp_path / "s.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="not YAML"):
        read_sweep(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"s\.yaml"):
        read_sweep(tmp_path / "s.yaml")
