"""The compiled growth of regression trees of depth 3 on sorted codes: the inner loop of `boosting`.

Targets are summed by bins of each latent, and only bins in which a cut can be the best are searched. Where two cuts are
of one worth but for rounding, frequent in small nodes, every sum runs in the order in which scikit-learn adds, and
latents are visited in its random order: rounding and chance then choose the same one. All the functions share one
file because numba's cache sees no change of a function in another.
"""

import numpy as np
from numba import njit

from disentangle_pl.metrics.trees import (
    NODES,
    ROW,
    SAME,
    SPLITS,
    Bins,
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
PURE = np.finfo(np.float64).eps
ONE = np.uint64(1)
compiled = njit(cache=True, nogil=True, error_model="numpy")
# for what is compared with a tolerance, so that it may round otherwise
approximate = njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz", "reassoc", "contract"})


@compiled
def grow(table: Table, targets: Floats, seeds: Places, work: Work, trees: Trees) -> None:
    """Fit a tree to each of the targets (k, N) by squared error, with its own seed (k,)."""
    for k in range(len(targets)):
        tree = Trees(trees.latent[k], trees.threshold[k], trees.value[k], trees.importance[k], trees.leaf[k])
        unit = _plant(seeds[k], table, targets[k], work)
        for node in DEPTH_FIRST:
            n = work.last[node] - work.first[node]
            if n:
                mixed = node < SPLITS and n > 1 and work.impurity[node] > PURE
                work.is_leaf[node] = not (mixed and _split(node, unit, table, targets[k], work, tree))
        _label(work, tree)


@compiled
def _plant(seed: int, table: Table, target: Floats, work: Work) -> float:
    """Begin with the root.

    Returns:
        The unit of the fixed point in which bins are summed.
    """
    rows = target.size
    for node in range(NODES):
        work.first[node], work.last[node], work.is_leaf[node] = 0, 0, 0
    work.last[0] = rows
    work.state[0] = max(seed, 1)
    for latent in range(work.latents.size):
        work.latents[latent] = latent
    total, squares, absolute = 0.0, 0.0, 0.0
    for row in range(rows):
        work.rows[row], work.node[row] = row, 0
        total += target[row]
        squares += target[row] * target[row]
        absolute += abs(target[row])
    mean = total / rows
    work.total[0], work.squares[0], work.impurity[0] = total, squares, squares / rows - mean * mean
    if work.impurity[0] <= PURE:
        return 0.0
    shift = _shift(rows)
    scale = ((1 << shift) - rows) * (1 - 1e-9) / absolute
    for row in range(rows):
        size = (1 << shift) + int(abs(target[row]) * scale)
        work.packed[row] = size if target[row] > 0 else -size
    _sum_root(table.order, table.edges, work.packed, work.sums[0])
    return float(1 / scale)


@compiled
def _label(work: Work, tree: Trees) -> None:
    for node in range(NODES):
        if work.is_leaf[node]:
            place = node
            while place < SPLITS:
                place = 2 * place + 1
            tree.value[place - SPLITS] = work.total[node] / (work.last[node] - work.first[node])
            for p in range(work.first[node], work.last[node]):
                tree.leaf[work.rows[p]] = place - SPLITS


@compiled
def _split(node: int, unit: float, table: Table, target: Floats, work: Work, tree: Trees) -> bool:
    first, last = work.first[node], work.last[node]
    undrawn, visited, constant = _draw(node, table, work)
    latent, below, lower, upper = _best_split(node, undrawn, unit, table, target, work)
    if latent < 0:
        return False
    child, cut, n, above = 2 * node + 1, first + below, last - first, last - first - below
    _members(table.order[visited], work.node, node, work.members, first)
    values = table.values[latent]
    for p in range(first, last):
        row = work.rows[p]
        work.node[row] = child + (values[row] > values[lower])
    _regroup(work.members, work.rows, work.node, child, work.spare, first, cut, last)
    left, right = _sum_children(node, cut, target, work)
    if n / target.size * (work.impurity[node] - above / n * right - below / n * left) + PURE < 0:
        return False
    tree.importance[latent] += n * work.impurity[node] - below * left - above * right
    tree.latent[node] = latent
    tree.threshold[node] = values[lower] / 2.0 + values[upper] / 2.0
    work.first[child], work.last[child], work.impurity[child] = first, cut, left
    work.first[child + 1], work.last[child + 1], work.impurity[child + 1] = cut, last, right
    work.inherited[child], work.inherited[child + 1] = constant, constant
    if child < SPLITS and max(left, right) > PURE:
        small, large = (child, child + 1) if below <= above else (child + 1, child)
        _sum_bins(small, table.bins, work)
        work.sums[large] = work.sums[node] - work.sums[small]
    return True


@compiled
def _sum_root(order: Rows, edges: Places, packed: Places, sums: Places) -> None:
    for latent in range(len(order)):
        for b in range(edges.shape[1] - 1):
            fall, rise = 0, 0
            for p in range(edges[latent, b], edges[latent, b + 1]):
                size = packed[_row(order[latent, p])]
                rise += max(size, 0)
                fall -= min(size, 0)
            sums[latent, 2 * b], sums[latent, 2 * b + 1] = fall, rise


@compiled
def _sum_bins(node: int, bins: Bins, work: Work) -> None:
    sums = work.sums[node].reshape(-1)
    sums[:] = 0
    width = np.uint64(work.sums.shape[2])
    for p in range(work.first[node], work.last[node]):
        row = work.rows[p]
        size = work.packed[row]
        start = np.uint64(size > 0)
        size = abs(size)
        for latent in range(bins.shape[1]):
            sums[start + np.uint64(2) * np.uint64(bins[row, latent])] += size
            start += width


@compiled
def _best_split(
    node: int, undrawn: int, unit: float, table: Table, target: Floats, work: Work
) -> tuple[int, int, int, int]:
    """Return the latent of the best cut (-1 for none), the rows below it, and the row on either side of it."""
    n, mean = work.last[node] - work.first[node], work.total[node] / (work.last[node] - work.first[node])
    lower, upper = _bound_bins(node, undrawn, unit, table, work)
    worth, error = work.total[node] * mean + upper, 3 * unit * target.size
    tolerance = 16 * error * np.sqrt(worth) + 8 * error * error + 1e-13 * worth
    best, rival, chosen, below, lower_row, end = -np.inf, -np.inf, -1, 0, 0, 0
    for place in range(undrawn, work.latents.size):
        latent = work.draws[place]
        gain, second, count, p, end_of = _scan_bins(
            table.values[latent],
            table.order[latent],
            table.edges[latent],
            work.bound[latent],
            work.counts[latent],
            work.left[latent],
            work.node,
            node,
            n,
            mean,
            table.inverse,
            target,
            work.members,
            lower - tolerance,
        )
        work.gain[latent] = gain
        rival = max(rival, second, min(best, gain))
        if gain > best:
            best, chosen, below, lower_row, end = gain, latent, count, p, end_of
        lower = max(lower, best)
    if rival >= best - tolerance:
        exact: tuple[int, int, int, int] = _exact_split(node, undrawn, best - tolerance, table, target, work)
        return exact
    values, order = table.values[chosen], table.order[chosen]
    p = end
    while work.node[_row(order[p])] != node or values[_row(order[p])] <= values[lower_row]:
        p += 1
    return chosen, below, lower_row, int(np.int64(_row(order[p])))


@compiled
def _exact_split(
    node: int, undrawn: int, near: float, table: Table, target: Floats, work: Work
) -> tuple[int, int, int, int]:
    """As `_best_split`, of the latents that gain at least `near`, by sums in the order of scikit-learn."""
    n = work.last[node] - work.first[node]
    chosen, best_worth, below, lower_row, upper_row = -1, -np.inf, 0, 0, 0
    for place in range(work.latents.size - 1, undrawn - 1, -1):
        latent = work.draws[place]
        if work.gain[latent] > -np.inf and work.gain[latent] >= near:
            _members(table.order[latent], work.node, node, work.members, 0)
            exact, cut = _scan(
                table.values[latent], work.members[:n], table.inverse, target, work.total[node], best_worth
            )
            if cut > 0:
                best_worth, chosen, below = exact, latent, cut
                lower_row, upper_row = (
                    int(np.int64(_row(work.members[cut - 1]))),
                    int(np.int64(_row(work.members[cut]))),
                )
    return chosen, below, lower_row, upper_row


@compiled
def _bound_bins(node: int, undrawn: int, unit: float, table: Table, work: Work) -> tuple[float, float]:
    """Set `counts`, `left` and `bound` of the drawn latents, and return what the best cut gains at least and at most.

    A cut after p of n rows gains g^2 (1 / p + 1 / (n - p)), with g the sum of the p targets less p of their means. This
    is convex in p, and in a bin g is below what its start and the positive targets make and above what the others make.
    """
    n, shift = work.last[node] - work.first[node], _shift(work.rows.size)
    mean = work.total[node] / n
    lower, upper = -np.inf, 0.0
    for place in range(undrawn, work.latents.size):
        latent = work.draws[place]
        count, left, bound = work.counts[latent], work.left[latent], work.bound[latent]
        _accumulate(work.sums[node, latent], shift, unit, count, left)
        _bound_gains(work.sums[node, latent], (1 << shift) - 1, unit, float(n), mean, count, left, bound, work.reached)
        for b in range(bound.size):
            lower, upper = max(lower, work.reached[b]), max(upper, bound[b])
    return lower, upper


@compiled
def _accumulate(sums: Places, shift: int, unit: float, count: Places, left: Floats) -> None:
    low_bits = (1 << shift) - 1
    rows, total = 0, 0
    for b in range(left.size - 1):
        fall, rise = sums[2 * b], sums[2 * b + 1]
        count[b], left[b] = rows, total * unit
        rows += (fall >> shift) + (rise >> shift)
        total += (rise & low_bits) - (fall & low_bits)
    count[-1], left[-1] = rows, total * unit


@approximate
def _bound_gains(
    sums: Places,
    low_bits: int,
    unit: float,
    n: float,
    mean: float,
    count: Places,
    left: Floats,
    bound: Floats,
    reached: Floats,
) -> None:
    for b in range(bound.size):
        before, last, early, late = left[b], float(count[b + 1]), float(count[b] + 1), left[b + 1]
        fall, rise = (sums[2 * b] & low_bits) * unit, (sums[2 * b + 1] & low_bits) * unit
        end = min(last, n - 1.0)
        g = late - mean * last
        around = last * (n - last)
        at_end = g * g * n / around if around > 0.0 else -1.0
        at_end = at_end if last >= early else -1.0
        one, other = mean * early, mean * end
        g = max(before + rise - min(one, other), max(one, other) - before + fall)
        most = g * g * n / min(early * (n - early), end * (n - end))
        reached[b] = at_end
        bound[b] = most if last > early else at_end


@compiled
def _scan_bins(
    values: Singles,
    order: Rows,
    edges: Places,
    bound: Floats,
    counts: Places,
    lefts: Floats,
    nodes: Bytes,
    node: int,
    n: int,
    mean: float,
    inverse: Floats,
    target: Floats,
    members: Rows,
    near: float,
) -> tuple[float, float, int, int, int]:
    """Look at the bins of a latent in which a cut can gain more than `near`.

    Returns:
        The gain of the best cut, that of the second, the rows below the best, the last of them, and where its bin
        begins.
    """
    best, second, below, last, start = -np.inf, -np.inf, 0, 0, 0
    for b in range(bound.size):
        if bound[b] < 0 or bound[b] <= near:
            continue
        size = 0
        for p in range(edges[b], edges[b + 1]):
            members[size] = order[p]
            size += nodes[_row(order[p])] == node
        count, left = counts[b], lefts[b]
        for i in range(size):
            row = _row(members[i])
            left += target[row]
            count += 1
            tied = members[i] > ROW and i + 1 < size and values[_row(members[i + 1])] <= values[row] + SAME
            if tied or count == n:
                continue
            g = left - mean * count
            gain = g * g * (inverse[count] + inverse[n - count])
            second = max(second, min(best, gain))
            if gain > best:
                best, below, last, start = gain, count, int(np.int64(row)), edges[b]
    return best, second, below, last, start


@compiled
def _members(order: Rows, nodes: Bytes, node: int, members: Rows, start: int) -> int:
    """Write the rows of a node to `members` from start on, in the given order, and return their number."""
    end = np.uint64(start)
    for p in range(order.size):
        members[end] = order[p]
        end += np.uint64(nodes[_row(order[p])] == node)
    return int(np.int64(end)) - start


@compiled
def _shift(rows: int) -> int:
    """Return the number of bits that are left for sums if counts up to `rows` have those above, 52 at most."""
    bits = 10
    while 1 << bits <= rows:
        bits += 1
    return 62 - bits


@compiled
def _draw(node: int, table: Table, work: Work) -> tuple[int, int, int]:
    """Draw the latents of a split: those from the first of the results on in `work.draws`, the last one first.

    Returns:
        Where the drawn latents begin, the last one that is not constant (-1 for none), and how many are constant.
    """
    inherited, latents = work.inherited[node], work.latents
    undrawn, drawn_constant, fresh, visited = latents.size, 0, 0, -1
    while undrawn > inherited + fresh:
        j = drawn_constant + next_random(work.state) % (undrawn - fresh - drawn_constant)
        if j < inherited:
            latents[drawn_constant], latents[j] = latents[j], latents[drawn_constant]
            drawn_constant += 1
            continue
        j += fresh
        latent = latents[j]
        values = table.values[latent]
        lowest, highest = _extremes(
            values, table.order[latent], table.edges[latent], work.sums[node, latent], work.node, node
        )
        visited = latent if lowest < highest else visited
        if highest <= lowest + SAME:
            latents[j], latents[inherited + fresh] = latents[inherited + fresh], latents[j]
            fresh += 1
            continue
        undrawn -= 1
        latents[undrawn], latents[j] = latents[j], latents[undrawn]
    for place in range(undrawn, latents.size):
        work.draws[place] = latents[place]
    for i in range(inherited):
        latents[i] = work.constant[i]
    for i in range(inherited, inherited + fresh):
        work.constant[i] = latents[i]
    return undrawn, visited, inherited + fresh


@compiled
def _extremes(
    values: Singles, order: Rows, edges: Places, sums: Places, nodes: Bytes, node: int
) -> tuple[float, float]:
    """Return the lowest and the highest value of a latent in a node."""
    b = 0
    while not sums[2 * b] + sums[2 * b + 1]:
        b += 1
    low = edges[b]
    while nodes[_row(order[low])] != node:
        low += 1
    b = edges.size - 2
    while not sums[2 * b] + sums[2 * b + 1]:
        b -= 1
    high = edges[b + 1] - 1
    while nodes[_row(order[high])] != node:
        high -= 1
    return values[_row(order[low])], values[_row(order[high])]


@compiled
def _scan(
    values: Singles, order: Rows, inverse: Floats, target: Floats, total: float, best: float
) -> tuple[float, int]:
    """Return the worth and place of the cut that leaves the least squared error, place 0 if none is above best."""
    n = np.uint64(order.size)
    p, cut, left, near = np.uint64(0), np.uint64(0), 0.0, best * (1 - 1e-12)
    while p < n - ONE:
        if order[p] <= ROW:
            left += target[order[p]]
        else:
            p, left = _pass_ties(values, order, target, total, left, p)
            if p == n - ONE:
                break
        p += ONE
        right = total - left
        # divisions would take half the time
        if left * left * inverse[p] + right * right * inverse[n - p] > near:
            best, near, cut = _better(left, right, p, n, best, near, cut)
    return best, int(np.int64(cut))


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
def _sum_children(node: int, cut: int, target: Floats, work: Work) -> tuple[float, float]:
    """Set the sums of both children, from first to cut - 1 and from there on, and return their impurities."""
    first, last, total, rows = work.first[node], work.last[node], work.total[node], work.rows
    below, above = cut - first, last - cut
    shorter = min(below, above)
    left, left_squares, right, right_squares, back = 0.0, 0.0, 0.0, 0.0, total
    for i in range(shorter):  # a sum waits for the one before it: several at a time take little longer than one
        one, other = target[rows[first + i]], target[rows[cut + i]]
        left += one
        left_squares += one * one
        right += other
        right_squares += other * other
        back -= target[rows[last - 1 - i]]
    for p in range(first + shorter, cut):
        left += target[rows[p]]
        left_squares += target[rows[p]] * target[rows[p]]
    for p in range(cut + shorter, last):
        right += target[rows[p]]
        right_squares += target[rows[p]] * target[rows[p]]
    child = 2 * node + 1
    work.total[child], work.squares[child] = left, left_squares
    work.total[child + 1], work.squares[child + 1] = right, right_squares
    if below > above:
        left = back
    remaining = work.squares[node] - left_squares
    return left_squares / below - (left / below) ** 2, remaining / above - ((total - left) / above) ** 2


@compiled
def _regroup(order: Rows, rows: Rows, nodes: Bytes, child: int, spare: Rows, first: int, cut: int, last: int) -> None:
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
        low += nodes[row] != child
    for p in range(last - 1, cut - 1, -1):
        row = _row(order[p])
        rows[p] = row
        spare[high - 1] = row
        high -= nodes[row] == child
    for i in range(low - first):
        p = spare[first + i]
        spare[first + i], rows[p] = rows[p], spare[last - 1 - i]
    i, front, before = first, rows[cut], rows[last - 1]
    for p in range(last - 1, cut - 1, -1):
        row = rows[p]
        if p == last - 1 or nodes[before] == child:
            rows[p] = spare[i] if i < low else front
            i += 1
        else:
            rows[p] = before
        before = row
