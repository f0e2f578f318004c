"""Run folders made up by hand, and a sweep of runs that start in no time."""

import json
from pathlib import Path

import yaml

from benchmarks.hardship_settings import CONFIG, rows_of


def runs(folder: Path) -> None:
    """Write the folders of three finished runs by hand, and the same as exports of W&B."""
    records = []
    for seed in range(3):
        place = folder / "runs" / f"r{seed}"
        place.mkdir(parents=True)
        settings = {**CONFIG, "seed_everything": seed}
        (place / "config.yaml").write_text(yaml.safe_dump(settings))
        rows = [[step, 9 - step, 8 - step, 0.1 * step + 0.01 * seed] for step in range(1, 6)]
        rows_of(place / "metrics.csv", ",", ["step", "train/loss", "val/loss", "disentanglement/mig"], rows)
        told = {"state": "finished", "message": "", "seconds": 12.5, "host": "here", "pid": 1}
        (place / "state.json").write_text(json.dumps(told))
        scores = {"mig": {"value": 0.5 + 0.01 * seed, "floor": 0.1, "rotated": 0.2, "ceiling": 0.9}}
        (place / "scores.json").write_text(json.dumps({"scores": scores}))
        summary = {"val/loss": 3.0 + seed, "disentanglement/mig": 0.5 + 0.01 * seed, "_step": 5}
        records.append({"name": f"r{seed}", "state": "finished", "config": settings, "summary": summary})
    (folder / "runs.json").write_text(json.dumps(records))
    exported: list[list[object]] = [[f"r{seed}", "finished", seed, 2.0, 0.5 + 0.01 * seed] for seed in range(3)]
    header = ["Name", "State", "seed_everything", "model.beta", "disentanglement/mig"]
    rows_of(folder / "runs.csv", ",", header, exported)


RUN = """
import csv, json, os, sys, time
from pathlib import Path

flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
folder = Path(os.environ["DISENTANGLE_PL_RUNS_DIR"]) / os.environ["WANDB_RUN_ID"]
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").write_text("seed_everything: 0")
table = folder / "metrics.csv"
done = table.read_bytes() if table.exists() else b""
done = done[: done.rfind(b"\\n") + 1] or b"step,val/score\\n"
for step in range(done.count(b"\\n") - 1, 6):
    done += f"{step},{float(flags['slope']) * (step + 1) + float(flags['seed'])}\\n".encode()
    draft = folder / "metrics.tmp"
    draft.write_bytes(done)
    draft.replace(table)
    time.sleep(0.05)
(folder / "state.json").write_text(json.dumps({"state": "finished"}))
"""


def prepare_sweep(folder: Path) -> None:
    """Write a sweep of eight runs that start in no time and go on after the rows that they find."""
    (folder / "run.py").write_text(RUN)
    parameters = {"slope": {"values": [0.5, 1.0, 2.0, 4.0]}, "seed": {"values": [0, 1]}}
    command = ["${env}", "${interpreter}", "in/run.py", "${args}"]
    whole = {"method": "grid", "metric": {"name": "val/score", "goal": "maximize"}, "parameters": parameters}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**whole, "command": command}))
