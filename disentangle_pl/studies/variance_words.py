"""What the numbers of a study of variance say, in plain words."""

from collections.abc import Sequence
from math import exp

from disentangle_pl.studies.variance_table import CODES, DECODED, DECODER, IMAGES, Line

CLOSE, CONSISTENT = 0.2, 0.9


def findings(lines: Sequence[Line]) -> dict[str, list[str]]:
    """Return sentences by section.

    Args:
        lines: All numbers of the study.
    """
    return {
        "Amounts of variance": _amounts(lines),
        "The same everywhere?": _consistency(lines),
        "Principal components and factors": _alignment(lines, IMAGES),
        "How the model encodes factors": _encoding(lines),
        "What the decoder moves": _alignment(lines, DECODED) + _decoder(lines),
    }


def _amounts(lines: Sequence[Line]) -> list[str]:
    shares = _by_factor(lines, IMAGES, "share of variance")
    if not shares:
        return []
    order = sorted(shares.values(), key=lambda line: -line.value)
    said = ", ".join(f"{line.factor} {line.value:.0%}" for line in order)
    sentences = [f"Share of the variance that factors induce: {said}"]
    gap = min(_by_factor(lines, IMAGES, "log gap").values(), key=lambda line: line.value)
    close = [line.factor for line in _by_factor(lines, IMAGES, "log gap").values() if line.value < CLOSE]
    spread = _one(lines, IMAGES, "heterogeneity")
    sentences.append(
        f"The two most similar amounts differ by a factor of {exp(gap.value):.2f}; log variances have a standard "
        f"deviation of {spread:.2f} nats over factors"
    )
    if close:
        sentences.append(f"About as much variance as another factor: {', '.join(close)}")
    mixed = [
        f"{line.factor} {line.value:.0%}"
        for line in _by_factor(lines, IMAGES, "interaction").values()
        if line.value > 0.5
    ]
    if mixed:
        sentences.append(f"Mostly interaction, so that the mean effect says little: {', '.join(mixed)}")
    return sentences


def _consistency(lines: Sequence[Line]) -> list[str]:
    amount = _by_factor(lines, IMAGES, "amount consistency")
    direction = _by_factor(lines, IMAGES, "direction consistency")
    sentences = []
    for name in amount:
        much, way = amount[name].value, direction[name].value
        same = "the same amount" if much >= CONSISTENT else "different amounts"
        ways = "the same direction" if way >= CONSISTENT else "different directions"
        everywhere = min(much, way) >= CONSISTENT
        sentences.append(
            f"{name} induces {same} of variance (consistency {_said(amount[name])}) in {ways} "
            f"({_said(direction[name])}){' everywhere' if everywhere else ', depending on the other factors'}"
        )
    return sentences


def _alignment(lines: Sequence[Line], signal: str) -> list[str]:
    sentences = []
    for measure, words in (
        ("global alignment", "principal components of all {} coincide with factors to {}"),
        ("local alignment", "principal directions of a step of every factor in {} coincide with factors to {}"),
        ("local/global discrepancy", "share of those directions in {} outside the first global components: {}"),
    ):
        found = [line for line in lines if line.signal == signal and line.measure == measure]
        sentences += [_capital(words.format(signal, _said(line))) for line in found]
    return sentences


def _encoding(lines: Sequence[Line]) -> list[str]:
    spread, apart = (_by_factor(lines, CODES, measure) for measure in ("axis spread", "encoding inconsistency"))
    switching = _by_factor(lines, CODES, "switching")
    return [
        f"{name}: spread over latents {_said(spread[name])}, other latents in other places {_said(apart[name])}, not "
        f"led by its usual latent at {switching[name].value:.0%} of the anchors"
        for name in spread
    ]


def _decoder(lines: Sequence[Line]) -> list[str]:
    return [f"{_capital(line.measure)}: {_said(line)}" for line in lines if line.signal == DECODER and not line.factor]


def _by_factor(lines: Sequence[Line], signal: str, measure: str) -> dict[str, Line]:
    return {line.factor: line for line in lines if (line.signal, line.measure) == (signal, measure)}


def _one(lines: Sequence[Line], signal: str, measure: str) -> float:
    return next(line.value for line in lines if (line.signal, line.measure) == (signal, measure))


def _said(line: Line) -> str:
    return f"{line.value:.3f}" + (f" [{line.low:.3f}, {line.high:.3f}]" if line.low < line.high else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
