"""The compiled steps of `dci_es`: trees of forests of classes, and the walk down a forest, read off at every depth."""

import numpy as np
from numba import njit

from disentangle_pl.metrics.tree_growth import next_random
from disentangle_pl.metrics.trees import SAME, Bools, Floats, Places, Singles

PURE = np.finfo(np.float64).eps
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def grow_classes(
    values: Singles, order: Places, labels: Places, weights: Floats, classes: int, depth: int, tries: int, seed: int
) -> tuple[Places, Floats, Places, Floats]:
    """Grow a tree of scikit-learn's `RandomForestClassifier`: Gini impurity, a few latents drawn for every split.

    Counts are whole numbers, so sums are exact in any order: the trees are the same. Rows are sorted once a tree and
    then divided in order, and the squares of the counts are kept up to date from cut to cut, so that a cut costs the
    same whatever the number of classes.

    Args:
        values: (d, N) codes.
        order: (d, n) the rows with a weight by ascending value of each latent; it is overwritten.
        labels: (N,) classes 0, 1, ...
        weights: (N,) how often a row was drawn.
        classes: c.
        depth: The largest depth.
        tries: How many latents that vary are tried for a split.
        seed: Of the draws of latents.

    Returns:
        The latent of every node (nodes,), its threshold (nodes,), its children (2, nodes), -1 at a leaf, and the shares
        of the classes in it (nodes, c).
    """
    latents, rows = order.shape
    most = 2 * rows
    latent, threshold, below = np.zeros(most, np.int64), np.zeros(most), np.full((2, most), -1)
    value = np.zeros((most, classes))
    stack, impurities = np.zeros((rows + 2, 6), np.int64), np.zeros(rows + 2)
    state, features, constant = np.full(1, max(seed, 1)), np.arange(latents), np.zeros(latents, np.int64)
    counts, scratch, goes_left = np.zeros((3, classes)), np.zeros(rows, np.int64), np.zeros(values.shape[1], np.bool_)
    stack[0] = (0, rows, 0, -1, 0, 0)
    impurities[0] = np.inf
    waiting, nodes, everyone = 1, 0, weights.sum()
    while waiting:
        waiting -= 1
        first, last, level, parent, side, inherited = stack[waiting]
        impurity = impurities[waiting]
        total = _count(order[0, first:last], labels, weights, counts[0])
        if parent < 0:
            impurity = 1 - _squares(counts[0]) / (total * total)
        else:
            below[side, parent] = nodes
        value[nodes] = counts[0] / total
        if level < depth and last - first > 1 and impurity > PURE:
            chosen, cut, constants = _best_gini(
                values, order, first, last, labels, weights, counts, total, tries, inherited, features, constant, state
            )
            if chosen >= 0:
                under = _count(order[chosen, first:cut], labels, weights, counts[1])
                over = total - under
                left = 1 - _squares(counts[1]) / (under * under)
                right = 1 - _squares_of_difference(counts[0], counts[1]) / (over * over)
                if total / everyone * (impurity - over / total * right - under / total * left) + PURE >= 0:
                    latent[nodes] = chosen
                    lower, upper = values[chosen, order[chosen, cut - 1]], values[chosen, order[chosen, cut]]
                    threshold[nodes] = lower / 2.0 + upper / 2.0
                    for p in range(first, last):
                        goes_left[order[chosen, p]] = p < cut
                    for j in range(latents):
                        if j != chosen:
                            _divide(order[j, first:last], goes_left, scratch)
                    stack[waiting] = (cut, last, level + 1, nodes, 1, constants)
                    impurities[waiting] = right
                    stack[waiting + 1] = (first, cut, level + 1, nodes, 0, constants)
                    impurities[waiting + 1] = left
                    waiting += 2
        nodes += 1
    return latent[:nodes].copy(), threshold[:nodes].copy(), below[:, :nodes].copy(), value[:nodes].copy()


@compiled
def _count(rows: Places, labels: Places, weights: Floats, counts: Floats) -> float:
    """Write the weight of every class among some rows, and return that of all of them."""
    total = 0.0
    counts[:] = 0
    for row in rows:
        counts[labels[row]] += weights[row]
        total += weights[row]
    return total


@compiled
def _squares(counts: Floats) -> float:
    """Sum squares of whole numbers, which is exact, without an array for each of the many small nodes."""
    total = 0.0
    for count in counts:
        total += count * count
    return total


@compiled
def _squares_of_difference(whole: Floats, part: Floats) -> float:
    total = 0.0
    for k in range(whole.size):
        total += (whole[k] - part[k]) ** 2
    return total


@compiled
def _best_gini(
    values: Singles,
    order: Places,
    first: int,
    last: int,
    labels: Places,
    weights: Floats,
    counts: Floats,
    total: float,
    tries: int,
    inherited: int,
    features: Places,
    constant: Places,
    state: Places,
) -> tuple[int, int, int]:
    """Return the latent (-1 for none) and place of the cut, and the number of constant latents."""
    undrawn, visited, drawn_constant, constants_added = features.size, 0, 0, 0
    best, chosen, cut = -np.inf, -1, -1
    while undrawn > inherited + constants_added and (visited < tries or visited <= constants_added + drawn_constant):
        visited += 1
        j = drawn_constant + next_random(state) % (undrawn - constants_added - drawn_constant)
        if j < inherited:
            features[drawn_constant], features[j] = features[j], features[drawn_constant]
            drawn_constant += 1
            continue
        j += constants_added
        latent = features[j]
        if values[latent, order[latent, last - 1]] <= values[latent, order[latent, first]] + SAME:
            features[j], features[inherited + constants_added] = features[inherited + constants_added], features[j]
            constants_added += 1
            continue
        undrawn -= 1
        features[undrawn], features[j] = features[j], features[undrawn]
        best, better = _scan_gini(values[latent], order[latent, first:last], labels, weights, counts, total, best)
        if better > 0:
            chosen, cut = latent, first + better
    for i in range(inherited):
        features[i] = constant[i]
    for i in range(inherited, inherited + constants_added):
        constant[i] = features[i]
    return chosen, cut, inherited + constants_added


@compiled
def _scan_gini(
    values: Singles, rows: Places, labels: Places, weights: Floats, counts: Floats, total: float, best: float
) -> tuple[float, int]:
    """Find the cut of least impurity: returns its worth and place, 0 if none is above `best`."""
    under, over = counts[1], counts[2]
    under[:] = 0
    over[:] = counts[0]
    left, left_squares, right_squares, cut = 0.0, 0.0, _squares(over), 0
    near = best + total * (1 - 1e-12)
    for p in range(rows.size - 1):
        row = rows[p]
        label, weight = labels[row], weights[row]
        left += weight
        left_squares += weight * (2 * under[label] + weight)
        right_squares -= weight * (2 * over[label] - weight)
        under[label] += weight
        over[label] -= weight
        right = total - left
        # divisions would take half the time
        if left_squares * right + right_squares * left > near * (left * right):
            if values[rows[p + 1]] <= values[row] + SAME:
                continue
            worth = -right * (1 - right_squares / (right * right)) - left * (1 - left_squares / (left * left))
            if worth > best:
                best, near, cut = worth, worth + total * (1 - 1e-12), p + 1
    return best, cut


@compiled
def _divide(rows: Places, goes_left: Bools, scratch: Places) -> None:
    """Put the rows that go left to the front and the others behind, each in order."""
    low, high = 0, 0
    for p in range(rows.size):
        row = rows[p]
        side = int(goes_left[row])
        rows[low] = row
        scratch[high] = row
        low += side
        high += 1 - side
    rows[low:] = scratch[:high]


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
