"""The compiled growth of regression trees of depth 3 on sorted codes: the inner loop of `boosting`.

Every sum runs in the order in which scikit-learn adds, and latents are visited in its random order: of splits of equal
worth, frequent in small nodes, rounding and chance then choose the same one. All the functions share one file because
numba's cache sees no change of a function in another.
"""

import numpy as np
from numba import njit

from disentangle_pl.metrics.trees import (
    DEPTH,
    NODES,
    ROW,
    SAME,
    SPLITS,
    Bytes,
    Floats,
    Places,
    Rows,
    Singles,
    Table,
    Trees,
    Work,
)

DEPTH_FIRST = (0, 1, 3, 7, 8, 4, 9, 10, 2, 5, 11, 12, 6, 13, 14)
DEPTHS = (0, 1, 1, 2, 2, 2, 2)
PURE = np.finfo(np.float64).eps
ONE = np.uint64(1)
compiled = njit(cache=True, nogil=True)


@compiled
def grow(table: Table, targets: Floats, seeds: Places, work: Work, trees: Trees) -> None:
    """Fit a tree to each of the targets (k, N) by squared error, with its own seed (k,)."""
    for k in range(len(targets)):
        _plant(seeds[k], work)
        tree = Trees(trees.latent[k], trees.threshold[k], trees.value[k], trees.importance[k], trees.leaf[k])
        for node in DEPTH_FIRST:
            if work.first[node] < work.last[node]:
                _settle(node, table, targets[k], work, tree)
        _label(work, tree)


@compiled
def _plant(seed: int, work: Work) -> None:
    for node in range(NODES):
        work.first[node], work.last[node], work.is_leaf[node] = 0, 0, 0
    work.last[0] = work.rows.size
    work.state[0] = max(seed, 1)
    for latent in range(work.latents.size):
        work.latents[latent] = latent
    for row in range(work.rows.size):
        work.rows[row] = row


@compiled
def _settle(node: int, table: Table, target: Floats, work: Work, tree: Trees) -> None:
    """Split a node or make it a leaf."""
    first, last = work.first[node], work.last[node]
    total, squares = _sums(work.rows, target, first, last)
    work.mean[node] = total / (last - first)
    if node == 0:
        work.impurity[0] = squares / last - work.mean[0] ** 2
    mixed = node < SPLITS and last - first > 1 and work.impurity[node] > PURE
    work.is_leaf[node] = not (mixed and _split(node, total, squares, table, target, work, tree))


@compiled
def _label(work: Work, tree: Trees) -> None:
    for node in range(NODES):
        if work.is_leaf[node]:
            place = node
            while place < SPLITS:
                place = 2 * place + 1
            tree.value[place - SPLITS] = work.mean[node]
            for p in range(work.first[node], work.last[node]):
                tree.leaf[work.rows[p]] = place - SPLITS


@compiled
def _split(node: int, total: float, squares: float, table: Table, target: Floats, work: Work, tree: Trees) -> bool:
    first, last = work.first[node], work.last[node]
    order = work.orders[DEPTHS[node]]
    latent, cut, visited, constant = _best_split(node, total, table, target, order, work)
    if latent < 0:
        return False
    for p in range(first, last):
        work.left[_row(order[latent, p])] = p < cut
    _regroup(order[visited], work.rows, work.left, work.spare, first, cut, last)
    left, right = _child_impurities(work.rows, target, first, cut, last, total, squares)
    n, below, above = last - first, cut - first, last - cut
    if n / target.size * (work.impurity[node] - above / n * right - below / n * left) + PURE < 0:
        return False
    tree.importance[latent] += n * work.impurity[node] - below * left - above * right
    tree.latent[node] = latent
    lower, upper = table.values[latent, _row(order[latent, cut - 1])], table.values[latent, _row(order[latent, cut])]
    tree.threshold[node] = lower / 2.0 + upper / 2.0
    child = 2 * node + 1
    work.first[child], work.last[child], work.impurity[child] = first, cut, left
    work.first[child + 1], work.last[child + 1], work.impurity[child + 1] = cut, last, right
    work.known[child], work.known[child + 1] = constant, constant
    if DEPTHS[node] + 1 < DEPTH:
        for i in range(constant, work.latents.size):
            j = work.latents[i]
            _partition(order[j], work.orders[DEPTHS[node] + 1, j], work.left, first, cut, last)
    return True


@compiled
def _best_split(
    node: int, total: float, table: Table, target: Floats, order: Rows, work: Work
) -> tuple[int, int, int, int]:
    """Return the latent (-1 for none) and place of the cut, the latent sorted last and the number of constant ones."""
    first, last = work.first[node], work.last[node]
    undrawn, visited, constant = _draw(node, table, order, work)
    best, chosen, cut = -np.inf, -1, -1
    place = work.latents.size - 1
    while place >= undrawn:  # in the order of the draws
        one, other = work.draws[place], work.draws[max(place - 1, undrawn)]
        worth, better, second, also = _scan(
            table.values[one],
            table.values[other],
            order[one, first:last],
            order[other, first:last],
            table.inverse,
            target,
            total,
            best,
        )
        if better > 0:
            best, chosen, cut = worth, one, first + better
        if also > 0 and second > best:
            best, chosen, cut = second, other, first + also
        place -= 2
    return chosen, cut, visited, constant


@compiled
def _draw(node: int, table: Table, order: Rows, work: Work) -> tuple[int, int, int]:
    """Draw the latents of a split: those from the first of the results on in `work.draws`, the last one first.

    Returns:
        Where the drawn latents begin, the last one that is not constant (-1 for none), and how many are constant.
    """
    first, last, known = work.first[node], work.last[node], work.known[node]
    latents = work.latents
    undrawn, drawn_constant, found, visited = latents.size, 0, 0, -1
    while undrawn > known + found:
        j = drawn_constant + next_random(work.state) % (undrawn - found - drawn_constant)
        if j < known:
            latents[drawn_constant], latents[j] = latents[j], latents[drawn_constant]
            drawn_constant += 1
            continue
        j += found
        latent = latents[j]
        values = table.values[latent]
        lowest, highest = values[_row(order[latent, first])], values[_row(order[latent, last - 1])]
        visited = latent if lowest < highest else visited
        if highest <= lowest + SAME:
            latents[j], latents[known + found] = latents[known + found], latents[j]
            found += 1
            continue
        undrawn -= 1
        latents[undrawn], latents[j] = latents[j], latents[undrawn]
    for place in range(undrawn, latents.size):
        work.draws[place] = latents[place]
    for i in range(known):
        latents[i] = work.constant[i]
    for i in range(known, known + found):
        work.constant[i] = latents[i]
    return undrawn, visited, known + found


@compiled
def _scan(
    values_a: Singles,
    values_b: Singles,
    order_a: Rows,
    order_b: Rows,
    inverse: Floats,
    target: Floats,
    total: float,
    best: float,
) -> tuple[float, int, float, int]:
    """Find the cut of each of two latents that leaves the least squared error.

    A sum waits for the one before it: two at a time take little longer than one.

    Returns:
        The worth and place of the first latent's cut, then those of the second; 0 for a place if none is above `best`.
    """
    n = np.uint64(order_a.size)
    a, cut_a, left_a, best_a, near_a = np.uint64(0), np.uint64(0), 0.0, best, best * (1 - 1e-12)
    b, cut_b, left_b, best_b, near_b = a, cut_a, left_a, best_a, near_a
    while a < n - ONE and b < n - ONE:
        if order_a[a] <= ROW:
            left_a += target[order_a[a]]
        else:
            a, left_a = _pass_ties(values_a, order_a, target, total, left_a, a)
        if order_b[b] <= ROW:
            left_b += target[order_b[b]]
        else:
            b, left_b = _pass_ties(values_b, order_b, target, total, left_b, b)
        a += ONE
        b += ONE
        right_a, right_b = total - left_a, total - left_b
        # divisions would take half the time; beyond the last row 1 / n is 0
        if left_a * left_a * inverse[a] + right_a * right_a * inverse[n - a] > near_a and a < n:
            best_a, near_a, cut_a = _better(left_a, right_a, a, n, best_a, near_a, cut_a)
        if left_b * left_b * inverse[b] + right_b * right_b * inverse[n - b] > near_b and b < n:
            best_b, near_b, cut_b = _better(left_b, right_b, b, n, best_b, near_b, cut_b)
    best_a, cut_a = _scan_on(values_a, order_a, inverse, target, total, best_a, cut_a, a, left_a)
    best_b, cut_b = _scan_on(values_b, order_b, inverse, target, total, best_b, cut_b, b, left_b)
    return best_a, int(cut_a), best_b, int(cut_b)


@compiled
def _scan_on(
    values: Singles,
    order: Rows,
    inverse: Floats,
    target: Floats,
    total: float,
    best: float,
    cut: np.uint64,
    p: np.uint64,
    left: float,
) -> tuple[float, np.uint64]:
    """Go on with one latent where the other has no more cuts, for fewer of its values differ."""
    n = np.uint64(order.size)
    near = best * (1 - 1e-12)
    while p < n - ONE:
        if order[p] <= ROW:
            left += target[order[p]]
        else:
            p, left = _pass_ties(values, order, target, total, left, p)
            if p == n - ONE:
                break
        p += ONE
        right = total - left
        if left * left * inverse[p] + right * right * inverse[n - p] > near:
            best, near, cut = _better(left, right, p, n, best, near, cut)
    return best, cut


@compiled
def _better(
    left: float, right: float, p: np.uint64, n: np.uint64, best: float, near: float, cut: np.uint64
) -> tuple[float, float, np.uint64]:
    worth = left * left / p + right * right / (n - p)
    if worth > best:
        return worth, worth * (1 - 1e-12), p
    return best, near, cut


@compiled
def _pass_ties(
    values: Singles, order: Rows, target: Floats, total: float, left: float, p: np.uint64
) -> tuple[np.uint64, float]:
    """Add the targets from p to the last row with the same value, from the side with fewer rows."""
    n = np.uint64(order.size)
    start = p
    left += target[_row(order[p])]
    while p + ONE < n and values[_row(order[p + ONE])] <= values[_row(order[p])] + SAME:
        p += ONE
        left += target[_row(order[p])]
    if p + ONE < n and p + ONE - start > n - p - ONE:
        left = total
        for q in range(n - ONE, p, -1):
            left -= target[_row(order[q])]
    return p, left


@compiled
def next_random(state: Places) -> int:
    """Draw a number below 2^31 from the state (1,) as scikit-learn does."""
    bits = int(state[0])
    bits ^= (bits << 13) & 0xFFFFFFFF
    bits ^= bits >> 17
    bits ^= (bits << 5) & 0xFFFFFFFF
    state[0] = bits
    return bits & 0x7FFFFFFF


@compiled
def _row(code: np.uint32) -> np.uint32:
    return code & ROW


@compiled
def _sums(rows: Rows, target: Floats, first: int, last: int) -> tuple[float, float]:
    total, squares = 0.0, 0.0
    for p in range(first, last):
        value = target[rows[p]]
        total += value
        squares += value * value
    return total, squares


@compiled
def _child_impurities(
    rows: Rows, target: Floats, first: int, cut: int, last: int, total: float, squares: float
) -> tuple[float, float]:
    left, left_squares = _sums(rows, target, first, cut)
    if cut - first > last - cut:
        left = total
        for p in range(last - 1, cut - 1, -1):
            left -= target[rows[p]]
    below, above = cut - first, last - cut
    return left_squares / below - (left / below) ** 2, (squares - left_squares) / above - ((total - left) / above) ** 2


@compiled
def _regroup(order: Rows, rows: Rows, left: Bytes, spare: Rows, first: int, cut: int, last: int) -> None:
    """Arrange rows as scikit-learn does, which swaps the foremost row that goes right with the last not yet seen.

    So each row before the cut that goes right gives its place to the next from the back that goes left, and the rows
    that go right fill the back in the order in which they are met, the one at the cut after those before it. Swapping
    itself would branch on what cannot be guessed.
    """
    low, high = first, last
    for p in range(first, cut):
        row = _row(order[p])
        rows[p] = row
        spare[low] = p
        low += 1 - left[row]
    for p in range(last - 1, cut - 1, -1):
        row = _row(order[p])
        rows[p] = row
        spare[high - 1] = row
        high -= left[row]
    for i in range(low - first):
        p = spare[first + i]
        spare[first + i], rows[p] = rows[p], spare[last - 1 - i]
    i, front, before = first, rows[cut], rows[last - 1]
    for p in range(last - 1, cut - 1, -1):
        row = rows[p]
        if p == last - 1 or left[before]:
            rows[p] = spare[i] if i < low else front
            i += 1
        else:
            rows[p] = before
        before = row


@compiled
def _partition(source: Rows, goal: Rows, left: Bytes, first: int, cut: int, last: int) -> None:
    """Copy the rows that go left to first, ..., and the others to cut, ..., each in order."""
    low = np.uint64(first)
    for p in range(np.uint64(first), np.uint64(last)):
        side = np.uint64(left[_row(source[p])])
        high = np.uint64(cut) + p - low
        goal[high ^ ((low ^ high) & (np.uint64(0) - side))] = source[p]  # a branch would be guessed wrong half the time
        low += side
