"""A run that starts in no time: leaves the files of a run folder as a real one does, and misbehaves on demand.

Flags: --steps=N rows, --pause=SECONDS between them, --end=N exit code (negative: a signal to itself), --slope=X (the
metric at step s is X * s), --mute=1 (never log the metric), --once=1 (misbehave at the first start only), --trap=1
(leave with 143 on SIGTERM). It goes on after the rows that it finds.
"""

import csv
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    """Run."""
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in sys.argv[1:] if "=" in flag)
    folder = Path(os.environ["DISENTANGLE_PL_RUNS_DIR"]) / os.environ["WANDB_RUN_ID"]
    folder.mkdir(parents=True, exist_ok=True)
    if flags.get("trap"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    starts = folder / "starts"
    with starts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    first = len(starts.read_text().splitlines()) == 1
    (folder / "config.yaml").write_text("seed_everything: 0\n")
    table = folder / "metrics.csv"
    done = len(table.read_text().splitlines()) - 1 if table.exists() else 0
    with table.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done and not file.tell():
            writer.writerow(["step", "other" if flags.get("mute") else "val/score"])
        for step in range(max(done, 0), int(flags.get("steps", 1))):
            writer.writerow([step, float(flags.get("slope", 1)) * (step + 1)])
            file.flush()
            time.sleep(float(flags.get("pause", 0)))
    end = int(flags.get("end", 0)) if first or not flags.get("once") else 0
    if end < 0:
        os.kill(os.getpid(), -end)
    if end:
        print(f"disentangle-pl: error: told to end with {end}", file=sys.stderr)
    (folder / "state.json").write_text(json.dumps({"state": "failed" if end else "finished"}))
    sys.exit(end)


main()
