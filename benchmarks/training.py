"""Images/s and memory of `disentangle-pl fit` against a bare PyTorch loop over the same network, in the same run.

    python -m benchmarks.training [--rounds 5] [--steps 60] [--threads 2]

Every measurement is a process of its own; contenders take turns, so that a drifting machine hits all alike. The bare
loop is what a careful user writes by hand: in-memory byte images drawn by index, contiguous layout, `torch.optim.Adam`,
the default allocator, float32.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import BATCH, CONTENDERS, POSITIONS, Contender
from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.backbones import Backbone, ConvBackbone, MLPBackbone
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.likelihoods import Bernoulli
from disentangle_pl.machine import fast_precision

WARM_UP = 15
ROOT = Path(__file__).parents[1]
SEED_LINE = "RESULT "


class Clock(Callback):
    """Measure the images/s of the training loop after its warm-up, as Lightning runs it."""

    def __init__(self) -> None:
        self.started = 0.0
        self.batches = 0

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Start after the warm-up."""
        if batch_idx == WARM_UP:
            self.started = _now()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Report at the last batch."""
        if batch_idx + 1 == trainer.num_training_batches:
            ended = _now()
            if trainer.is_global_zero:
                report(batch_idx - WARM_UP + 1, ended - self.started)


def report(steps: int, seconds: float) -> None:
    """Print images/s and the peak memory of this process for the process that started it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(SEED_LINE + json.dumps({"images": steps * BATCH / seconds, "mib": peak}), flush=True)


def bare_loop(tiny: bool, steps: int, device: str) -> None:
    """Train the same network by hand."""
    torch.manual_seed(0)
    sprites = Sprites(orientation_values=[0], x_values=POSITIONS, y_values=POSITIONS)
    images = torch.cat([(sprites.images(i) * 255).byte() for i in torch.split(torch.arange(len(sprites)), 512)])
    images, net = images.to(device), _network(tiny).to(device)
    likelihood = Bernoulli()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    started = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            started = _now()
        x = images[torch.randint(len(images), (BATCH,), device=device)].float() / 255
        q = net.encode(x)
        z = q.sample(torch.randn_like(q.mean))
        loss = likelihood(net.decode(z), x).mean() + 4 * q.kl().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report(steps, _now() - started)


def _now() -> float:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return time.perf_counter()


def _network(tiny: bool) -> Backbone:
    if tiny:
        return MLPBackbone((1, 64, 64), 10, (), ())
    net = ConvBackbone((1, 64, 64), 10)
    net.layout = torch.contiguous_format
    for parameter in net.parameters():
        parameter.data = parameter.data.contiguous()
    return net


def measure(contender: Contender, steps: int, threads: int) -> dict[str, float]:
    """Run one contender in processes of its own and return images/s of all, and peak MiB of the first."""
    with tempfile.TemporaryDirectory() as folder:
        if contender.kind == "fit":
            own = [f"--data.steps_per_epoch={WARM_UP + steps}", f"--runs_dir={folder}"]
            clock = "--trainer.callbacks=benchmarks.training.Clock"
            command = [sys.executable, "-m", "disentangle_pl", "fit", *contender.flags, *own, clock]
        else:
            command = [sys.executable, "-m", "benchmarks.training", "--contender", contender.kind, f"--steps={steps}"]
            command += ["--device=cuda"] * contender.gpu
        env = {**os.environ, "OMP_NUM_THREADS": str(contender.threads or threads), "WANDB_MODE": "offline"}
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(SEED_LINE)]
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    measured: dict[str, float] = json.loads(lines[-1].removeprefix(SEED_LINE))
    return measured


def table(results: dict[str, list[dict[str, float]]], rounds: int, steps: int, threads: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Training speed",
        "",
        f"`python -m benchmarks.training --rounds {rounds} --steps {steps} --threads {threads}`, {date.today()}, "
        f"commit {describe_commit()}.",
        f"Machine: {describe_machine()}. The default recipe trains in {fast_precision('cpu')} here.",
        f"64 x 64 binary sprites, global batch {BATCH}, the 2019 study's network, {threads} threads unless it says "
        f"otherwise, {rounds} interleaved rounds, medians; lowest and highest round in brackets. A ratio is taken "
        "within its round.",
        "",
        "| contender | images/s | divided by | ratio | wanted | peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    for name, contender in CONTENDERS.items():
        rows = results.get(name)
        if not rows:
            lines.append(f"| {name} | not measured: no GPU | {contender.rival or '-'} | - | - | - |")
            continue
        rates = [row["images"] for row in rows]
        rival = contender.rival or name
        ratios = [own / other["images"] for own, other in zip(rates, results[rival], strict=True)]
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        rate = f"{statistics.median(rates):.0f} [{min(rates):.0f}, {max(rates):.0f}]"
        memory = f"{statistics.median(row['mib'] for row in rows):.0f}"
        lines.append(
            f"| {name} | {rate} | {contender.rival or '-'} | {spread} | {contender.wanted or '-'} | {memory} |"
        )
    return "\n".join(lines) + "\n"


def show(text: str) -> None:
    """Print the table of a Markdown report to the terminal."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    printed = Table()
    for number, header in enumerate(rows[0]):
        printed.add_column(header, no_wrap=number == 0)
    for row in rows[2:]:
        printed.add_row(*row)
    Console().print(printed)


def main() -> None:
    """Run the benchmark, or one contender of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="timed steps a round (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every contender (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "training.md")
    parser.add_argument("--contender", choices=("conv", "tiny"), help=argparse.SUPPRESS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        bare_loop(args.contender == "tiny", args.steps, args.device)
        return
    here = {name: contender for name, contender in CONTENDERS.items() if contender.here}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in here}
    for turn in range(args.rounds):
        for name, contender in here.items():
            steps = args.steps * (10 if "near-empty" in name or contender.gpu else 1)  # short ones
            results[name].append(measure(contender, steps, args.threads))
            print(f"round {turn + 1}/{args.rounds}  {name}: {results[name][-1]['images']:.0f} images/s", flush=True)
    text = table(results, args.rounds, args.steps, args.threads)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    show(text)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
