"""Which runs to end early: W&B's hyperband."""

from collections.abc import Mapping, Sequence

from disentangle_pl.sweeps.sweep_file import Hyperband


def losers(
    histories: Mapping[str, Sequence[float]], running: Sequence[str], rule: Hyperband, sign: int
) -> dict[str, int]:
    """Name the running runs that are not among the best 1 / eta of the runs that have come as far.

    A run is judged at the last band that it has reached, against the values that all runs, those that have ended
    included, had there.

    Args:
        histories: The finite values of the metric of every run, in order.
        running: The runs that may be ended.
        rule: The bands.
        sign: 1 if smaller is better, -1 if larger is.

    Returns:
        The band at which each loser was judged.

    Source: Li et al. 2018, Hyperband (arXiv:1603.06560), in the form of the open-source engine of W&B sweeps.
    """
    losses = {name: [sign * value for value in history] for name, history in histories.items()}
    judged = {}
    for name in running:
        mine = losses.get(name, [])
        reached = [band for band in rule.bands if band <= len(mine)]
        if not reached:
            continue
        band = reached[-1]
        there = sorted(other[band - 1] for other in losses.values() if len(other) >= band)
        threshold = there[int(len(there) / rule.eta)]
        if (mine[band - 1] if rule.strict else min(mine)) > threshold:
            judged[name] = band
    return judged
