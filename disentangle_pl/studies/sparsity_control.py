"""Sweeps of the strictest control: random masks that are as dense as learned ones in every single layer."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.studies.sparsity_table import is_learned, layer_densities
from disentangle_pl.yaml_text import load_yaml

HEAD = """# The control of learned masks: random masks as dense in every layer, for the same data, seeds and steps.
#   disentangle-pl sweep {path} --parallel 2
"""
EVEN = 0.02
COMMAND = ["${env}", "${interpreter}", "-m", "disentangle_pl", "fit", "${args}"]


def write_controls(runs: pd.DataFrame, folder: Path) -> Iterator[Path]:
    """Write a sweep file, and the recipe that it varies, for every data set with learned masks.

    Masks that are equally dense in all layers are left out: plain random masks are their control.

    Args:
        runs: As `sparsity_table.arrange` returns them.
        folder: Where the files go: `<data set>.yaml` and `sweep_<data set>.yaml`.

    Yields:
        The sweep files.

    Raises:
        InputError: If the folder of a run is not known or its configuration is gone.
    """
    for data_set, mine in runs.groupby("data_set", sort=False):
        learned = mine[mine["kind"].map(is_learned)]
        wanted = (layer_densities(found) for _, found in learned.groupby(["kind", "rank"]))
        lists = [shares for shares in wanted if max(shares) - min(shares) > EVEN]
        if not lists:
            continue
        name = re.sub(r"\W+", "_", str(data_set)).strip("_").lower()
        recipe, path = folder / f"{name}.yaml", folder / f"sweep_{name}.yaml"
        config = yaml.safe_dump(_recipe(learned.iloc[0]), sort_keys=False)
        folder.mkdir(parents=True, exist_ok=True)
        recipe.write_text(config)
        kind = f"{RandomMask.__module__}.{RandomMask.__qualname__}"
        masks = [f"{{class_path: {kind}, init_args: {{density: {shares}}}}}" for shares in lists]
        sweep = {
            "name": f"sparsity-control-{name}",
            "method": "grid",
            "metric": {"name": "disentanglement/mig", "goal": "maximize"},
            "parameters": {
                "model.mask": {"values": list(dict.fromkeys(masks))},
                "seed_everything": {"values": sorted({int(seed) for seed in mine["seed"]})},
            },
            "command": [*COMMAND[:-1], f"--config={recipe}", COMMAND[-1]],
        }
        path.write_text(HEAD.format(path=path) + yaml.safe_dump(sweep, sort_keys=False, width=10_000))
        yield path


def _recipe(run: pd.Series) -> dict[str, Any]:
    """Return the configuration of a run without its mask, name and seed."""
    if not run["folder"]:
        raise InputError("a control needs the folder of every run, and a table has none: give the run folders")
    source = Path(run["folder"]) / "config.yaml"
    try:
        config = load_yaml(source.read_text())
        config["model"]["init_args"].pop("mask", None)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise InputError(f"a control needs the folder of every run, but {source} cannot be read: {error}") from error
    aside = {"run_id", "runs_dir", "seed_everything", "ckpt_path", "project", "weights_only"}
    kept = {key: value for key, value in config.items() if key not in aside}
    kept["checkpoint"] = {key: value for key, value in kept.get("checkpoint", {}).items() if key != "dirpath"}
    return kept
