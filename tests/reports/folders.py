"""Run folders as `fit` leaves them, made in a moment."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

ENTRY = {"value": 0.4, "floor": 0.01, "rotated": 0.2, "ceiling": 0.9}
HEAD = "step,train/loss,train/nll,train/kl,epoch,val/loss,val/nll,val/kl,disentanglement/mig\n"


def settings(seed: int = 0, aggregation: str | None = None, /, **more: object) -> dict[str, object]:
    """Return a configuration as `fit` writes it."""
    chosen = None if aggregation is None else {"class_path": f"disentangle_pl.aggregation.{aggregation}"}
    model = {"beta": 4.0, "latent_dim": 6, "likelihood": None, "aggregation": chosen}
    sprites = {"class_path": "disentangle_pl.data.sprites.Sprites", "init_args": {"resolution": 16}}
    data = {"dataset": sprites, "pairs": None, "batch_size": 64}
    return {
        "seed_everything": seed,
        "trainer": {"max_epochs": 3, "devices": 1},
        "model": {"class_path": "disentangle_pl.models.beta_vae.BetaVAE", "init_args": model},
        "data": {"class_path": "disentangle_pl.data.synthetic.SyntheticData", "init_args": data},
        "runs_dir": "runs",
        **more,
    }


def write_picture(path: Path, size: tuple[int, int] = (60, 40), seed: int = 0) -> None:
    """Write a small PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(shades).save(path)


def make_run(
    folder: Path,
    *,
    seed: int = 0,
    aggregation: str | None = None,
    mig: float = 0.4,
    state: str = "finished",
    more: dict[str, object] | None = None,
) -> Path:
    """Write a whole run folder."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "# lightning.pytorch==2.6.6\n" + yaml.dump(settings(seed, aggregation, **(more or {})))
    )
    rows = [f"{step},{900 / step},{800 / step},{step / 100},0,,,,\n" for step in range(50, 500, 50)]
    rows += [f"{step},,,,1,{700 / step},{600 / step},3.5,{mig * step / 700}\n" for step in (500, 600, 700)]
    (folder / "metrics.csv").write_text(HEAD + "".join(rows))
    scores = {"mig": ENTRY | {"value": mig}, "sap": ENTRY | {"value": 0.1}, "infom": dict.fromkeys(ENTRY, 0.5)}
    about = {"scores": scores, "left_out": {"irs": "too few rows"}, "versions": {"torch": "2.13"}}
    (folder / "scores.json").write_text(json.dumps(about))
    record = {"state": state, "message": "", "seconds": 61.5, "host": "here", "pid": 1}
    (folder / "state.json").write_text(json.dumps(record))
    (folder / "latents.tsv").write_text("latent\tkl\tspread\nz0\t0.1\t0.2\nz1\t3.2\t1.0\n")
    (folder / "information.tsv").write_text("latent\tshape\tx\nz0\t0.01\t0.02\nz1\t0.03\t0.85\n")
    for step in (200, 700):
        write_picture(folder / "traversals" / f"step-{step:07d}.png", seed=step)
    write_picture(folder / "reconstructions" / "step-0000700.png")
    return folder


class Parsed(HTMLParser):
    """The elements and the plain text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.raw: dict[str, str] = {}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep text, that of scripts and styles apart."""
        if self._inside in ("script", "style"):
            self.raw[self._inside] = self.raw.get(self._inside, "") + data
        else:
            self.text += f" {data}"

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def parsed(path: Path) -> Parsed:
    """Read a page."""
    return Parsed(path.read_text(encoding="utf-8"))
