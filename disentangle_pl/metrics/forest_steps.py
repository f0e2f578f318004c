"""The compiled walk of `dci_es` down a forest, which is read off at every depth on the way."""

import numpy as np
from numba import njit

from disentangle_pl.metrics.trees import Floats, Places, Singles

compiled = njit(cache=True, nogil=True)


@compiled
def cut_predictions(
    codes: Singles,
    roots: Places,
    latent: Places,
    threshold: Floats,
    below: Places,
    value: Floats,
    discrete: bool,
    predicted: Floats,
) -> None:
    """Predict every row by the mean of the nodes that it has reached in every tree, for trees cut at depth 1, 2, ...

    Args:
        codes: (M, d).
        roots: (t,) the node each tree begins with.
        latent: (nodes,) of each split.
        threshold: (nodes,) rows whose code is not above go left.
        below: (2, nodes) children, -1 at a leaf.
        value: (nodes, c) shares of the classes, or the mean of a quantity.
        discrete: Predict the number of the likeliest class, otherwise the first mean.
        predicted: (depth, M) to write.
    """
    nodes, votes = np.empty(roots.size, np.int64), np.empty(value.shape[1])
    for row in range(len(codes)):
        nodes[:] = roots
        for depth in range(len(predicted)):
            moved = False
            for t in range(nodes.size):
                node = nodes[t]
                if below[0, node] >= 0:
                    nodes[t] = below[int(codes[row, latent[node]] > threshold[node]), node]
                    moved = True
            if depth > 0 and not moved:
                predicted[depth, row] = predicted[depth - 1, row]
                continue
            votes[:] = 0
            for t in range(nodes.size):
                shares = value[nodes[t]]
                for k in range(votes.size):
                    votes[k] += shares[k]
            votes /= nodes.size
            predicted[depth, row] = votes.argmax() if discrete else votes[0]
