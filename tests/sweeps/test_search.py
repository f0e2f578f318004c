"""Grid, random and Bayesian search: order, reproducibility, and whether the search finds anything."""

from pathlib import Path
from typing import Any

import yaml

from disentangle_pl.sweeps.search import Bayes, Grid, Random, Search, Seen, make_search
from disentangle_pl.sweeps.sweep_file import Sweep, read_sweep


def sweep(folder: Path, method: str, **parameters: Any) -> Sweep:
    """Make a sweep."""
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump({"method": method, "metric": {"name": "m"}, "parameters": parameters}))
    return read_sweep(path)


def proposals(search: Search, number: int) -> list[dict[str, Any]]:
    """Return the values of the first proposals."""
    seen: list[Seen] = []
    while len(seen) < number and (point := search.propose(seen)) is not None:
        seen.append(Seen(point, None, False))
    return [search.values(run.point) for run in seen]


def test_a_grid_visits_every_combination_once_in_the_order_of_wandb(tmp_path: Path) -> None:
    search = make_search(
        sweep(tmp_path, "grid", b={"values": [1, 2]}, a={"values": ["x", "y"]}, c={"value": 3}, d={"min": 1, "max": 2})
    )
    assert isinstance(search, Grid)
    made = proposals(search, 100)
    # as W&B's engine proposes them
    assert made[:3] == [
        {"a": "x", "b": 1, "c": 3, "d": 1},
        {"a": "x", "b": 1, "c": 3, "d": 2},
        {"a": "x", "b": 2, "c": 3, "d": 1},
    ]
    assert len(made) == len({str(values) for values in made}) == search.size == 8
    assert list(made[0]) == ["a", "b", "c", "d"]


def test_a_grid_of_constants_is_one_run(tmp_path: Path) -> None:
    search = make_search(sweep(tmp_path, "grid", a={"value": 1}))
    assert search.size == 1
    assert proposals(search, 5) == [{"a": 1}]


def test_random_draws_depend_on_their_number_alone(tmp_path: Path) -> None:
    search = make_search(sweep(tmp_path, "random", a={"min": 0.0, "max": 1.0}, b={"values": ["x", "y", "z"]}))
    assert isinstance(search, Random)
    assert search.size is None
    made = proposals(search, 60)
    assert made == proposals(search, 60)
    assert len({values["a"] for values in made}) == 60
    assert {values["b"] for values in made} == {"x", "y", "z"}
    assert 0.35 < sum(values["a"] for values in made) / 60 < 0.65


def minimum(search: Search, number: int) -> float:
    """Return the least value of a smooth function that a search finds."""
    seen: list[Seen] = []
    for _ in range(number):
        point = search.propose(seen)
        assert point is not None
        values = search.values(point)
        loss = (values["a"] - 0.3) ** 2 + (0.0 if values["b"] == "y" else 0.5)
        seen.append(Seen(point, loss, False))
    return min(run.loss for run in seen[10:] if run.loss is not None)


def test_bayes_searches_near_what_was_good(tmp_path: Path) -> None:
    space = {"a": {"min": -5.0, "max": 5.0}, "b": {"values": ["x", "y", "z"]}}
    found = minimum(make_search(sweep(tmp_path, "bayes", **space)), 40)
    blind = minimum(make_search(sweep(tmp_path, "random", **space)), 40)
    assert found < 0.02
    assert found < blind


def test_bayes_depends_only_on_what_was_seen_and_takes_any_state(tmp_path: Path) -> None:
    search = make_search(sweep(tmp_path, "bayes", a={"distribution": "normal"}, b={"values": [1, 2]}, c={"value": 7}))
    assert isinstance(search, Bayes)
    point = {"a": 0.5, "b": 1}
    seen = [Seen(point, 1.0, False), Seen(point, None, True), Seen(point, None, False), Seen(point, 2.0, False)] * 4
    assert search.propose(seen) == search.propose(seen)
    nothing_worked = [Seen(point, None, False)] * 12
    made = search.propose(nothing_worked)
    assert made is not None
    assert search.values(made)["c"] == 7
    assert -5 < search.values(made)["a"] < 5


def test_samples_show_every_value_and_end_with_the_last(tmp_path: Path) -> None:
    for method in ("grid", "random"):
        search = make_search(sweep(tmp_path, method, a={"values": [1, 2, 3]}, b={"values": ["x", "y"]}))
        made = [search.values(search.sample(number)) for number in (0, 1, 2)]
        assert {values["a"] for values in made} == {1, 2, 3}
        assert {values["b"] for values in made} == {"x", "y"}
        assert search.values(search.sample(-1)) == {"a": 3, "b": "y"}
    ranged = make_search(sweep(tmp_path, "random", a={"min": 0.0, "max": 10.0}))
    assert len({ranged.values(ranged.sample(number))["a"] for number in range(5)}) == 5
