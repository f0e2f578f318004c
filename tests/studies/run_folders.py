"""Run folders and tables made up by hand."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

MIG = "disentanglement/mig"


def make_run(
    folder: Path,
    *,
    state: str | None = "finished",
    seed: int = 0,
    beta: Any = 1,
    rows: str = "step,train/loss,val/loss,disentanglement/mig\n1,9,8,.1\n2,7,6,.5\n",
    **top: Any,
) -> Path:
    """Write a run folder with two rows of numbers."""
    folder.mkdir(parents=True)
    model = {"class_path": "disentangle_pl.models.beta_vae.BetaVAE", "init_args": {"beta": beta}}
    config = {"seed_everything": seed, "model": model, "run_id": None} | top
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text(rows)
    if state is not None:
        record = {"state": state, "message": "", "seconds": 12.5, "host": "here", "pid": 1}
        (folder / "state.json").write_text(json.dumps(record))
    return folder


def table(metric: str = MIG, **columns: Any) -> pd.DataFrame:
    """Make a tidy table of finished runs; `metric` gives the column `score` its name, and dots are written __."""
    n = len(columns["score"])
    fixed = {"run": [f"r{i}" for i in range(n)], "state": ["finished"] * n, "message": [""] * n}
    fixed |= {"folder": [f"/runs/r{i}" for i in range(n)]}
    named = {key.replace("__", "."): pd.Series(values, dtype=object) for key, values in (fixed | columns).items()}
    frame = pd.DataFrame(named).rename(columns={"score": metric})
    return frame.astype({name: float for name in frame.columns if name.startswith(metric)})
