"""Small pictures for a page that many people load: few colours, no more pixels than are looked at."""

from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image, ImageSequence

from disentangle_pl.studies.latent_plot import Panel, draw_latents

LARGEST = 150_000  # bytes
COLOURS = (128, 64, 32, 16)
WIDTHS = (1200, 1000, 800, 640)


def shrink(source: Path, target: Path) -> None:
    """Write a picture with so few colours, and if need be pixels, that it has less than 150 KB.

    Args:
        source: A PNG.
        target: A PNG.

    Raises:
        ValueError: If it stays larger.
    """
    with Image.open(source) as image:
        whole = image.convert("RGB")
    for colours in COLOURS:
        for width in WIDTHS:
            size = (width, round(whole.height * width / whole.width))
            small = whole.resize(size, Image.Resampling.LANCZOS) if whole.width > width else whole
            buffer = BytesIO()
            small.quantize(colours, Image.Quantize.MAXCOVERAGE).save(buffer, format="PNG", optimize=True)
            if buffer.tell() < LARGEST:
                target.write_bytes(buffer.getvalue())
                return
    raise ValueError(f"{source} has {buffer.tell()} bytes at {width} pixels: make it smaller")


def shrink_film(source: Path, target: Path, width: int = 480) -> None:
    """Write a film with less than 150 KB.

    Args:
        source: A GIF.
        target: A GIF.
        width: Pixels.

    Raises:
        ValueError: If it stays larger.
    """
    with Image.open(source) as film:
        size = (width, round(film.height * width / film.width))
        pause = film.info.get("duration", 250)
        frames = [
            frame.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(32)
            for frame in ImageSequence.Iterator(film)
        ]
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=pause, loop=0, optimize=True)
    if target.stat().st_size >= LARGEST:
        raise ValueError(f"{target} has {target.stat().st_size} bytes at {width} pixels: make it smaller")


def brain_latents(folder: Path, target: Path, methods: dict[str, str]) -> None:
    """Draw what the latents of the first brain model of every method follow, from the tables of the study.

    Args:
        folder: What `disentangle-pl latents` wrote.
        target: A PNG.
        methods: The group of the study by the title of its panel.
    """
    latents, pairs = (
        pd.read_csv(folder / name, sep="\t", na_values="n/a") for name in ("latents.tsv", "correlations.tsv")
    )
    panels = []
    for title, group in methods.items():
        model = latents.loc[latents["group"] == group, "model"].iloc[0]
        panels.append(Panel(title, *(table[table["model"] == model] for table in (latents, pairs))))
    buffer = BytesIO()
    draw_latents(panels).savefig(buffer, dpi=110)
    draft = target.with_suffix(".draft.png")
    draft.write_bytes(buffer.getvalue())
    shrink(draft, target)
    draft.unlink()
