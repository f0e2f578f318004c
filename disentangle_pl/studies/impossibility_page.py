"""The page of the impossibility: what was shown, for a student, with all numbers and the picture inside."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from disentangle_pl.studies.clinical_page import STYLE
from disentangle_pl.studies.impossibility_tables import numbers
from disentangle_pl.studies.rotated_model import AXES

TITLE = "Why images alone cannot say which latents are the right ones"
INTRODUCTION = (
    "A VAE says how images come from latents, z from p(z) and then x from p(x|z). Take any rotation Q of the latents. "
    "If p(z) is the same in all directions, Q z has the same law as z, so the decoder that first turns back, p(x|Qᵀz), "
    "makes the same images with the same probability. If the factors were the axes of z, they are mixed in Q z: every "
    "new latent depends on every factor. No score that is computed from images alone can tell the two models apart "
    "(Locatello et al. 2019, theorem 1). What follows shows this with numbers, and where VAEs escape it all the same."
)
EXPLAINED = {
    "A. The prior does not know its axes": (
        "The latents here are the factors themselves, drawn from the prior, so nothing is learned and nothing is "
        "estimated. A rotation leaves the density of every point as it was; a uniform prior is first made normal, then "
        "rotated, then made uniform again. MIG and SAP, which know the factors, fall."
    ),
    "B. A model and its rotation have the same ELBO": (
        "The posterior N(m, diag s²) becomes N(Q m, Q diag(s²) Qᵀ), the decoder turns back. The KL is that of the full "
        "covariance, 1/2 (tr S + |m|² - d - log det S), computed from the matrix. Reconstruction, KL and ELBO agree to "
        "rounding; what the scores make of it is in the table. A model whose axes hold no factors has little to lose."
    ),
    "C. The loophole: posteriors that must be diagonal": (
        "A VAE only has diagonal posteriors, and the rotated one is not diagonal unless all variances are equal. "
        "Keeping its diagonal alone loses 1/2 (sum log S_ii - log det S) nats: a price for every rotation but those "
        "that only exchange axes or flip signs. This is why VAEs line up with directions of different variance, as PCA "
        "does, and why they have no reason to where amounts of variance are equal."
    ),
    "D. Which scores see a rotation": (
        "Two latents at a time are turned from 0 to 90 degrees, where they have changed places: the picture shows this "
        "for the model. Which scores can see it is a matter of the scores, so the table takes perfect codes of the "
        "same factors (if none is known, the codes of the model). A score that barely moves measures something else "
        "than disentanglement, such as how much is known, and must not be quoted alone. Lost is the share of the way "
        "down to noise."
    ),
}


def sentences(prior: pd.DataFrame, model: pd.DataFrame, gaps: pd.DataFrame, seen: pd.DataFrame, name: str) -> list[str]:
    """Say what was found, one sentence or two a demonstration.

    Args:
        prior: Of `prior_table`.
        model: Of `model_table`.
        gaps: Of `gap_table`.
        seen: Of `sight`.
        name: Of the model.
    """
    first = prior.iloc[0]
    trained, rotated, low, high, change = (
        numbers(model, column) for column in ("trained", "rotated", "low", "high", "largest_change")
    )
    score = next(quantity for quantity in ("mig", AXES) if quantity in trained)
    some, mine = gaps.iloc[0], gaps[gaps["posterior"] == name].iloc[0]
    whose = "perfect" if len(seen) > 1 else "its own"
    sees, barely, blind = (", ".join(seen[seen["sees"] == word]["score"]) or "none" for word in ("yes", "barely", "no"))
    return [
        f"A: rotations of the prior change log p(z) by at most {first['log_density_change']:.1g} nats, and MIG from "
        f"{first['mig']:.3f} to {first['mig_rotated']:.3f} on average.",
        f"B: {name}: the ELBO is {trained['elbo']:.4f} nats and changes by at most "
        f"{change['elbo']:.1g}, while {score} goes from {trained[score]:.3f} to "
        f"{rotated[score]:.3f} [{low[score]:.3f}, {high[score]:.3f}].",
        f"C: a posterior with {some['posterior']} loses {some['gap']:.2f} nats on average [{some['low']:.2f}, "
        f"{some['high']:.2f}] when it must stay diagonal after a rotation, one with equal variances none; {name} loses "
        f"{mine['gap']:.3g} nats.",
        f"D: turned by 45 degrees, {whose} codes lose these scores: {sees}; barely: {barely}; not: {blind}.",
    ]


def page(said: Sequence[str], tables: Sequence[pd.DataFrame], picture: bytes) -> str:
    """Write the page: no other file, no network, every value escaped.

    Args:
        said: Of `sentences`.
        tables: Those of A, B, C and D.
        picture: The PNG.
    """
    source = b64encode(picture).decode()
    parts = [
        f"<p>{escape(INTRODUCTION)}</p>",
        f'<div class="wide"><img alt="the four parts" src="data:image/png;base64,{source}"></div>',
    ]
    for (title, text), sentence, table in zip(EXPLAINED.items(), said, tables, strict=True):
        found = sentence.partition(": ")[2]
        parts.append(f"<h2>{escape(title)}</h2><p>{escape(text)}</p>")
        parts.append(f'<p class="caution">Found: {escape(found)}</p>{_table(table)}')
    head = f'<meta charset="utf-8"><title>{escape(TITLE)}</title><style>{STYLE}</style>'
    body = f"<h1>{escape(TITLE)}</h1>{''.join(parts)}"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in table.columns)
    rows = ("".join(_cell(value) for value in row) for row in table.itertuples(index=False, name=None))
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="n">{"" if value != value else f"{value:.4g}"}</td>'
    return f"<td>{escape(str(value))}</td>"
