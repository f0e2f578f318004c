"""Small pictures that show what the package does, under docs/gallery, with a page and a part of the README about them.

    python -m benchmarks.gallery [--runs runs]

Models are those of `make compare` (seed 0 of both methods) and one with a channel mask: they are trained unless their
runs are there, a quarter of an hour on two cores in all. The brain pictures are made from the committed study.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.compare import Scores, train, train_flags
from benchmarks.gallery_pictures import brain_latents, shrink, shrink_film
from benchmarks.machine import describe_commit, describe_machine

ROOT = Path(__file__).parents[1]
BRAIN = ROOT / "benchmarks" / "results" / "brain"
BEGIN, END = "<!-- gallery: begin -->", "<!-- gallery: end -->"
RECIPES = ("sprites_beta_vae", "sprites_ada_gvae")
MASKED = [
    f"--config={ROOT / 'configs' / 'sparsity_sprites.yaml'}",
    "--model.mask=disentangle_pl.masks.l1.ProximalL1Mask",
    "--model.mask.strength=0.3",
    "--model.mask.warm_up=1000",
    "--disentanglement.only=[mig,sap,modularity,dci,corrected]",
]
METHODS = {  # groups of the brain study
    "VAE on single scans": "aggregation=null, batch_size=8, pairs=false",
    "Ada-GVAE on pairs of visits": "aggregation=AdaGVAE, batch_size=4, pairs=true",
}
IN_FRAGMENT = 4


class Item(NamedTuple):
    """One picture.

    Attributes:
        file: Its name.
        title: In few words.
        text: What there is to see.
        command: What made it.
    """

    file: str
    title: str
    text: str
    command: str


def run(*arguments: str) -> None:
    """Run the command line."""
    subprocess.run([sys.executable, "-m", "disentangle_pl", *arguments], check=True, cwd=ROOT)


def sprites(runs: Path, work: Path, out: Path) -> list[Item]:
    """Traverse the VAE and Ada-GVAE of `make compare`."""
    sheets = [train(recipe, 0, runs / "compare", []) for recipe in RECIPES]
    checkpoints = [str(runs / "compare" / f"{recipe}-seed0" / "checkpoints" / "last.ckpt") for recipe in RECIPES]
    run("traverse", *checkpoints, f"--out={work / 'sprites'}")
    shrink(work / "sprites" / "traverse.png", out / "sprites_traversals.png")
    shrink_film(work / "sprites" / "sprites_ada_gvae-seed0.gif", out / "sprites_ada_gvae.gif")
    command = "disentangle-pl traverse runs/compare/*-seed0/checkpoints/last.ckpt"
    migs = " and ".join(f"{sheet['mig']['value']:.2f}" for sheet in sheets)
    return [
        Item(
            "sprites_traversals.png",
            "Without and with weak supervision",
            "One latent a row moves through two standard deviations either way, and beneath it is the change against "
            "the middle image. Left a VAE (beta = 1): position is spread over latents that move along diagonals. Right "
            f"Ada-GVAE on pairs: y, x and scale have a latent each. MIG {migs}, one seed of each; with intervals over "
            "seeds: `benchmarks/results/compare.md`.",
            command,
        ),
        Item(
            "sprites_ada_gvae.gif",
            "The latents of Ada-GVAE, moving",
            "The same latents as a film; every latent above 0.01 nats of KL is shown.",
            command,
        ),
    ]


def colour_and_size(work: Path, out: Path) -> list[Item]:
    """Measure the variance that colour and size induce."""
    run("variance", "--config=configs/data/colour_size.yaml", f"--out={work / 'colour_size'}")
    shrink(work / "colour_size" / "heat.png", out / "colour_size.png")
    return [
        Item(
            "colour_size.png",
            "How much variance a factor induces depends on the others",
            "Squares that differ in colour, size and place: colour moves images the more the larger the square is, and "
            "size the more the brighter it is. Local directions of variance are not global ones.",
            "disentangle-pl variance --config configs/data/colour_size.yaml",
        )
    ]


def mask(runs: Path, out: Path) -> list[Item]:
    """Train a network with a sparse channel mask."""
    sheet = train_flags("masked-seed0", 0, runs / "gallery", MASKED)
    (drawn,) = sorted((runs / "gallery" / "masked-seed0" / "sparsity").glob("*.png"))[-1:]
    shrink(drawn, out / "mask.png")
    return [
        Item(
            "mask.png",
            "Which channels are connected",
            "A convolutional beta-VAE (beta = 4) of sprites under a proximal L1 channel mask, after 2,000 steps: black "
            "is connected, outputs of a layer downwards, inputs across; third row: what latents reach. Its MIG is "
            f"{_value(sheet, 'mig')} (one seed): a sparse network need not be a disentangled one, see "
            "`disentangle-pl sparsity`.",
            "disentangle-pl fit --config configs/sparsity_sprites.yaml "
            "--model.mask=disentangle_pl.masks.l1.ProximalL1Mask --model.mask.strength=0.3 --model.mask.warm_up=1000",
        )
    ]


def brain(out: Path) -> list[Item]:
    """Draw the committed study of brain models again, smaller."""
    brain_latents(BRAIN / "latents", out / "brain_latents.png", METHODS)
    shrink(BRAIN / "figure" / "ends.png", out / "brain_traversals.png")
    return [
        Item(
            "brain_latents.png",
            "What latents of simulated brain scans follow",
            "Correlations with volumes of tissue and with the gain of the scanner over held-out people (simulated "
            "cohort), bold beyond chance. Static latents stay the same between the visits of a person. Ventricles are "
            "spread over many latents by either method.",
            "make brain",
        ),
        Item(
            "brain_traversals.png",
            "What changes in a scan with a latent",
            "Axial and coronal planes through ventricles and hippocampus. Of each method those latents "
            "that follow ventricles, cortex, hippocampus and gain of the scanner most: both ends, and what changes "
            "between these; the other latents stay at a typical scan. Red is brighter, blue is darker. One model each.",
            "make brain",
        ),
    ]


def _value(sheet: Scores, name: str) -> str:
    return f"{sheet[name]['value']:.2f}"


def page(items: Sequence[Item], machine: str) -> str:
    """Return docs/gallery.md."""
    lines = ["# Gallery", "", f"`python -m benchmarks.gallery`, {machine}.", ""]
    for item in items:
        lines += [f"## {item.title}", "", f"![{item.title}](gallery/{item.file})", "", item.text, ""]
        lines += ["```text", item.command, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def fragment(items: Sequence[Item]) -> str:
    """Return the part of the README, between its markers: a table of the first pictures."""
    shown = items[:IN_FRAGMENT]
    lines = [BEGIN, "<!-- written by python -m benchmarks.gallery -->"]
    for first, second in zip(shown[::2], shown[1::2], strict=False):
        pictures = " | ".join(f"![{item.title}](docs/gallery/{item.file})" for item in (first, second))
        lines += [f"| {first.title} | {second.title} |", "|---|---|", f"| {pictures} |", ""]
    return (
        "\n".join([*lines, "What there is to see in them, and more: [docs/gallery.md](docs/gallery.md).", END]) + "\n"
    )


def renewed(readme: str, part: str) -> str:
    """Return the README with its part between the markers replaced.

    Raises:
        ValueError: If a marker is not there.
    """
    before, rest = readme.split(BEGIN)
    return f"{before}{part.rstrip()}{rest.split(END)[1]}"


def main() -> None:
    """Make all pictures and their pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where runs are, and are made")
    runs = parser.parse_args().runs.absolute()
    out, work = ROOT / "docs" / "gallery", runs / "gallery" / "work"
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    items = [*sprites(runs, work, out), *colour_and_size(work, out), *mask(runs, out), *brain(out)]
    (ROOT / "docs" / "gallery.md").write_text(page(items, f"{describe_commit()}. Machine: {describe_machine()}"))
    readme = ROOT / "README.md"
    readme.write_text(renewed(readme.read_text(), fragment(items)))
    for item in items:
        print(f"{(out / item.file).stat().st_size / 1000:.0f} KB {out / item.file}")


if __name__ == "__main__":
    main()
