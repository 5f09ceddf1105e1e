"""Every compiled loop of loading, in one file: numba's cache notices changes of a function's own file only.

Arrays that come from a store are read where it says they hold something, also where the store is damaged: what it
says is compared with their sizes first. All arrays are contiguous. What is ragged, a number of entries per cell, is one
after the other, cell i from `offsets[i]` to `offsets[i + 1]`; what has cells and tokens is two-dimensional, of which
the first `sizes[i]` tokens of cell i are there.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _27, _30, _31, _32 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_ROUNDS = 12
_FEW = 16
"""Trials from which it is faster to draw their number of successes at once."""
_INVERTED = 10.0
"""Means from which it is faster to reject than to sum probabilities."""

_LOW = np.uint64(2**32 - 1)

BINOMIAL, POISSON, GAUSSIAN, GENES = range(4)
"""What may become of a count: some kept, drawn anew, noise on log1p, all of a gene's counts kept or none."""
VIEW, KEEP, SPOIL, SHARE, CHOICE, ZEROS, ORDER, MASK, MIX, TIES, WANTED_TIES, VIEW_SHARE = range(12)
"""What the random numbers of a cell are for: a stream of their own for each."""

compiled = njit(cache=True, nogil=True, error_model="numpy")  # division by 0 is inf: no branch in a loop


@compiled
def mix(word: np.uint64) -> np.uint64:
    """A bijection of uint64 that spreads every bit over all: the finaliser of splitmix64.

    Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, https://doi.org/10.1145/2714064.2660195,
    with the constants of https://prng.di.unimi.it/splitmix64.c.
    """
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return word ^ (word >> _31)


# ---- which cells: order and keys


@compiled
def keys_of(cells: np.ndarray, epoch: int, repeats: np.ndarray, keys: np.ndarray) -> None:
    """Write uint64 keys: those of one epoch and repeat differ between any two cells, mix being a bijection.

    `repeats` is as long as `cells`, or of length 1 for all.
    """
    of_epoch = mix(np.uint64(epoch) + _GOLDEN)
    for i in range(len(cells)):
        repeat = np.uint64(repeats[i if len(repeats) > 1 else 0])
        keys[i] = mix(mix(of_epoch + repeat * _GOLDEN) + np.uint64(cells[i]) * _GOLDEN)


@compiled
def permute(places: np.ndarray, size: int, key: int, permuted: np.ndarray) -> None:
    """Write the images (int64) of places, each below `size`, under a pseudo-random permutation of 0 to size - 1.

    Nothing but the key is kept of it: a Feistel network of `_ROUNDS` rounds permutes the numbers below the
    next power of two, and is walked along until the image is below `size`, which takes under two steps on average.
    Black, Rogaway (2002), Ciphers with arbitrary finite domains, https://doi.org/10.1007/3-540-45760-7_9.
    """
    bits = 0
    while (1 << bits) < size:
        bits += 1
    low_bits = np.uint64(bits // 2)
    low_mask = (np.uint64(1) << low_bits) - np.uint64(1)
    high_mask = (np.uint64(1) << np.uint64(bits - bits // 2)) - np.uint64(1)
    for i in range(len(places)):
        image = np.uint64(places[i])
        while True:
            high, low = image >> low_bits, image & low_mask
            turned = np.uint64(key)
            for _ in range(_ROUNDS // 2):
                turned += _GOLDEN
                high ^= mix(low + turned) & high_mask
                turned += _GOLDEN
                low ^= mix(high + turned) & low_mask
            image = (high << low_bits) | low
            if image < np.uint64(size):
                break
        permuted[i] = np.int64(image)


# ---- cells out of a store


@compiled
def measure(
    rows: np.ndarray,
    places: np.ndarray,
    indptr: np.ndarray,
    totals: np.ndarray,
    stored: int,
    n_genes: int,
    begins: np.ndarray,
    offsets: np.ndarray,
    depths: np.ndarray,
) -> int:
    """Find where rows of a store begin (`begins`), how many genes they have (`offsets`, each one later), their totals.

    What is of `rows[i]` is written at `places[i]`. Returns the first i that is no row of `stored` values of `n_genes`
    genes, else -1.
    """
    for i in range(len(rows)):
        row, place = rows[i], places[i]
        if row < 0 or row + 1 >= len(indptr) or row >= len(totals):
            return i
        begin, end = indptr[row], indptr[row + 1]
        if begin < 0 or end < begin or end > stored or end - begin > n_genes:
            return i
        begins[place] = begin
        offsets[place + 1] = end - begin
        depths[place] = totals[row]
    return -1


@compiled
def gather(
    places: np.ndarray,
    begins: np.ndarray,
    offsets: np.ndarray,
    indices: np.ndarray,
    counts: np.ndarray,
    table: np.ndarray,
    drops: bool,
    genes: np.ndarray,
    values: np.ndarray,
    ends: np.ndarray,
) -> int:
    """Copy measured rows to `offsets[place]` on, their genes numbered anew by `table`.

    With `drops` the genes of which the table says -1 are left out; `ends` (one per place) is where a row's genes end,
    at most `offsets[place + 1]`. Returns the first i of which a gene is not in the table, else -1.
    """
    for i in range(len(places)):
        place = places[i]
        begin, at = begins[place], offsets[place]
        n = offsets[place + 1] - at
        row, row_counts = indices[begin : begin + n], counts[begin : begin + n]
        new, new_counts = genes[at : at + n], values[at : at + n]
        largest = np.int64(-1)
        for j in range(n):
            largest = max(largest, np.int64(row[j]))
        if largest >= len(table):
            return i
        kept = n
        if drops:
            kept = 0
            for j in range(n):
                new[kept] = table[np.int64(row[j])]
                new_counts[kept] = row_counts[j]
                kept += new[kept] >= 0
        else:  # loops without a condition, of which the compiler makes vector instructions: twice as fast
            for j in range(n):
                new[j] = table[np.int64(row[j])]
            for j in range(n):
                new_counts[j] = row_counts[j]
        ends[place] = at + kept
    return -1


@compiled
def close_gaps(offsets: np.ndarray, ends: np.ndarray, genes: np.ndarray, values: np.ndarray) -> None:
    """Move every row to the end of the one before, in place, and set `offsets` to where they are."""
    at = np.int64(0)
    for i in range(len(ends)):
        begin, n = offsets[i], ends[i] - offsets[i]
        offsets[i] = at
        for j in range(n):
            genes[at + j] = genes[begin + j]
            values[at + j] = values[begin + j]
        at += n
    offsets[len(ends)] = at


@compiled
def recode(rows: np.ndarray, places: np.ndarray, codes: np.ndarray, table: np.ndarray, recoded: np.ndarray) -> int:
    """Write the new codes of rows: `table` holds one per old code, and last that of -1.

    Returns the first i that has no code in the table, else -1.
    """
    for i in range(len(rows)):
        row = rows[i]
        if row < 0 or row >= len(codes):
            return i
        code = codes[row]
        if code < -1 or code >= len(table) - 1:
            return i
        recoded[places[i]] = table[code if code >= 0 else len(table) - 1]
    return -1


# ---- random numbers, each a function of what it is for


@compiled
def word(start: np.uint64, number: int) -> np.uint64:
    """The random number (uint64) of a place in the stream that begins at `start`: splitmix64, see `mix`.

    It may be the start of another stream: seed, cell, purpose, gene and draw are numbers of one stream in the other.
    """
    return mix(start + np.uint64(number) * _GOLDEN)


@compiled
def unit(bits: np.uint64) -> float:
    """A number in [0, 1), a multiple of 2**-53."""
    return np.int64(bits >> _11) * 2.0**-53


@compiled
def below(bits: np.uint64, n: int) -> np.int64:
    """An integer from 0 to n - 1, each as likely but for n / 2**32 of its share."""
    return np.int64(((bits >> _32) * np.uint64(n)) >> _32)


@compiled
def normal(state: np.uint64) -> float:
    """A draw of the standard normal distribution. Box, Muller (1958), https://doi.org/10.1214/aoms/1177706645."""
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(word(state, 0))))
    return radius * math.cos(2.0 * math.pi * unit(word(state, 1)))


@compiled
def binomial(state: np.uint64, n: int, p: float) -> int:
    """A draw of the binomial distribution, p in [0, 1]."""
    if p > 0.5:
        return n - binomial_to_half(state, n, 1.0 - p)
    return binomial_to_half(state, n, p)


@compiled
def binomial_to_half(state: np.uint64, n: int, p: float) -> int:
    """A draw of the binomial distribution, p in [0, 0.5]."""
    if n < _FEW:
        successes = 0
        for k in range(n):
            successes += unit(word(state, k)) < p
        return successes
    if n * p < _INVERTED:
        ratio = p / (1.0 - p)
        return min(n, inverted(unit(word(state, 0)), math.exp(n * math.log1p(-p)), (n + 1) * ratio, ratio))
    return binomial_btrs(state, n, p)


@compiled
def inverted(u: float, share: float, rise: float, fall: float) -> int:
    """The first k at which probabilities, of which `share` is that of 0, sum to u.

    That of k is that of k - 1 times `rise / k - fall`. Inversion, as BINV of Kachitvichyanukul, Schmeiser (1988),
    https://doi.org/10.1145/42372.42381.
    """
    k = 0
    while u > share and share > 0.0:
        u -= share
        k += 1
        share *= rise / k - fall
    return k


@compiled
def binomial_btrs(state: np.uint64, n: int, p: float) -> int:
    """A draw of the binomial distribution, p in (0, 0.5], n * p at least 10.

    Algorithm BTRS: Hörmann (1993), The generation of binomial random variates,
    https://doi.org/10.1080/00949659308811496.
    """
    q = 1.0 - p
    deviation = math.sqrt(n * p * q)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((n + 1) * p)
    at_mode = math.lgamma(mode + 1.0) + math.lgamma(n - mode + 1.0)
    tried = 0
    while True:
        u, v = unit(word(state, tried)) - 0.5, 1.0 - unit(word(state, tried + 1))
        tried += 2
        edge = 0.5 - abs(u)
        k = math.floor((2.0 * a / edge + b) * u + n * p + 0.5)
        if k < 0 or k > n:
            continue
        if edge >= 0.07 and v <= 0.92 - 4.2 / b:
            return k
        height = at_mode - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0) + (k - mode) * math.log(p / q)
        if math.log(v * alpha / (a / (edge * edge) + b)) <= height:
            return k


@compiled
def poisson(state: np.uint64, mean: float) -> int:
    """A draw of the Poisson distribution.

    From a mean of 10 by algorithm PTRS: Hörmann (1993), The transformed rejection method for generating Poisson
    random variables, https://doi.org/10.1016/0167-6687(93)90997-4.
    """
    if mean < _INVERTED:
        return inverted(unit(word(state, 0)), math.exp(-mean), mean, 0.0)
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    alpha = 1.1239 + 1.1328 / (b - 3.4)
    tried = 0
    while True:
        u, v = unit(word(state, tried)) - 0.5, 1.0 - unit(word(state, tried + 1))
        tried += 2
        edge = 0.5 - abs(u)
        k = math.floor((2.0 * a / edge + b) * u + mean + 0.43)
        if edge >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
            return k
        if k < 0 or (edge < 0.013 and v > edge):
            continue
        height = k * math.log(mean) - mean - math.lgamma(k + 1.0)
        if math.log(v * alpha / (a / (edge * edge) + b)) <= height:
            return k


# ---- what the model sees of the counts


@compiled
def drawn(kind: int, state: np.uint64, count: float, parameter: float) -> float:
    """What becomes of a count above 0, by one of the kinds below.

    Counts may be means, as of a centroid: of their fraction, `BINOMIAL` keeps the expected part. They are float64: of
    a count of a million, the logarithm in float32 is not exact enough to draw from.
    """
    if kind == BINOMIAL:
        whole = math.floor(count)
        return binomial(state, whole, parameter) + parameter * (count - whole)
    if kind == POISSON:
        return poisson(state, count)
    if kind == GAUSSIAN:
        return max(0.0, math.expm1(math.log1p(count) + parameter * normal(state)))
    return count if unit(word(state, 0)) < parameter else 0.0


@compiled
def resample(
    kind: int,
    purpose: int,
    starts: np.ndarray,
    offsets: np.ndarray,
    genes: np.ndarray,
    counts: np.ndarray,
    parameters: np.ndarray,
    resampled: np.ndarray,
) -> None:
    """Write what becomes of every count, a function of the cell's start, the purpose and the gene alone.

    `parameters` has one number per cell: the share kept, or the standard deviation on log1p counts.
    """
    for i in range(len(starts)):
        start = word(starts[i], purpose)
        for j in range(offsets[i], offsets[i + 1]):
            if counts[j] > 0:
                resampled[j] = drawn(kind, word(start, genes[j]), np.float64(counts[j]), parameters[i])
            else:
                resampled[j] = 0


@compiled
def starts_of(keys: np.ndarray, seed: int, number: int, starts: np.ndarray) -> None:
    """Write where the random numbers of each cell start, of one of its views (`number`)."""
    of_seed = mix(np.uint64(seed))
    for i in range(len(keys)):
        starts[i] = word(mix(keys[i] + of_seed), number)


@compiled
def shares_of(starts: np.ndarray, purpose: int, low: float, high: float, shares: np.ndarray) -> None:
    """Write a number for each cell, uniform from `low` to `high`."""
    for i in range(len(starts)):
        shares[i] = low + (high - low) * unit(word(starts[i], purpose))


@compiled
def sums_of(offsets: np.ndarray, counts: np.ndarray, sums: np.ndarray) -> None:
    """Write the sum of each cell's counts."""
    for i in range(len(sums)):
        total = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            total += counts[j]
        sums[i] = total


# ---- which genes become tokens
#
# A token (int32) is the position of an entry among those of all cells, or ~gene where the cell has no such entry.


@compiled
def bring_to_front(items: np.ndarray, n: int, k: int, start: np.uint64) -> None:
    """Make the first k of n items a random set of them, each set as likely; as many draws as the smaller part has.

    Fisher, Yates; from the back where fewer are left than kept. Neither part is in random order.
    """
    if k <= n - k:
        for at in range(k):
            other = at + below(word(start, at), n - at)
            items[at], items[other] = items[other], items[at]
    else:
        for at in range(n - 1, k - 1, -1):
            other = below(word(start, at), at + 1)
            items[at], items[other] = items[other], items[at]


@compiled
def sortable(score: float, low: np.uint64) -> np.uint64:
    """A number in the order of scores, float32 from 0 on, and of equal scores in that of the 32 bits `low`."""
    return (np.uint64(np.float32(score).view(np.uint32)) << _32) | (low & _LOW)


@compiled
def largest_to_front(keys: np.ndarray, items: np.ndarray, n: int, k: int) -> None:
    """Bring the items of the k largest of n keys to the front. Hoare (1961), https://doi.org/10.1145/366622.366647."""
    first, last = 0, n - 1
    while first < last:
        pivot, i, j = keys[(first + last) // 2], first, last
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                items[i], items[j] = items[j], items[i]
                i += 1
                j -= 1
        if k <= j:
            last = j
        elif k > i:
            first = i
        else:
            return


@compiled
def longest(offsets: np.ndarray) -> int:
    """Entries of the cell that has most."""
    most = 0
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@compiled
def entries_above_0(begin: int, end: int, counts: np.ndarray, items: np.ndarray) -> int:
    """List the entries with counts, and return how many they are.

    Only thinned cells have entries without: that is looked at first, as loops without a condition are 7 times as fast.
    """
    row, without = counts[begin:end], 0
    for j in range(len(row)):
        without += row[j] <= 0
    if without == 0:
        for j in range(len(row)):
            items[j] = begin + j
        return len(row)
    n = 0
    for j in range(begin, end):
        items[n] = j
        n += counts[j] > 0
    return n


@compiled
def put(items: np.ndarray, n: int, tokens: np.ndarray, i: int, at: int) -> None:
    """Make n items tokens of cell i, from `at` on; a slice would do the same, and take a second to compile."""
    for k in range(n):
        tokens[i, at + k] = items[k]


@compiled
def choose_nonzero(
    starts: np.ndarray, offsets: np.ndarray, counts: np.ndarray, tokens: np.ndarray, sizes: np.ndarray
) -> None:
    """Choose genes with counts at random."""
    items = np.empty(longest(offsets) + 1, np.int32)
    for i in range(len(starts)):
        n = entries_above_0(offsets[i], offsets[i + 1], counts, items)
        sizes[i] = min(n, tokens.shape[1])
        bring_to_front(items, n, sizes[i], word(starts[i], CHOICE))
        put(items, sizes[i], tokens, i, 0)


@compiled
def choose_top(
    starts: np.ndarray,
    offsets: np.ndarray,
    genes: np.ndarray,
    counts: np.ndarray,
    weights: np.ndarray,
    tokens: np.ndarray,
    sizes: np.ndarray,
) -> None:
    """Choose the genes with the most counts times the gene's weight; among equals at random."""
    items = np.empty(longest(offsets) + 1, np.int32)
    keys = np.empty(len(items), np.uint64)
    for i in range(len(starts)):
        n = entries_above_0(offsets[i], offsets[i + 1], counts, items)
        sizes[i] = min(n, tokens.shape[1])
        start = word(starts[i], CHOICE)
        for k in range(n):
            gene = genes[items[k]]
            keys[k] = sortable(counts[items[k]] * weights[gene], word(start, gene))
        largest_to_front(keys, items, n, sizes[i])
        put(items, sizes[i], tokens, i, 0)


@compiled
def choose_nonzero_and_zeros(
    starts: np.ndarray,
    offsets: np.ndarray,
    genes: np.ndarray,
    counts: np.ndarray,
    n_genes: int,
    ratio: float,
    tokens: np.ndarray,
    sizes: np.ndarray,
) -> None:
    """Choose genes with counts at random, and `ratio` times as many without."""
    length = tokens.shape[1]
    items, others = np.empty(longest(offsets) + 1, np.int32), np.empty(n_genes, np.int32)
    for i in range(len(starts)):
        n = entries_above_0(offsets[i], offsets[i + 1], counts, items)
        k = min(n, max(1, round(length / (1.0 + ratio))))
        bring_to_front(items, n, k, word(starts[i], CHOICE))
        put(items, k, tokens, i, 0)
        left = np.ones(n_genes, np.bool_)
        for j in range(offsets[i], offsets[i + 1]):
            left[genes[j]] = counts[j] <= 0
        n = 0
        for gene in range(n_genes):
            if left[gene]:
                others[n] = ~gene
                n += 1
        zeros = min(n, length - k, round(ratio * k))
        bring_to_front(others, n, zeros, word(starts[i], ZEROS))
        put(others, zeros, tokens, i, k)
        sizes[i] = k + zeros


@compiled
def choose_any(starts: np.ndarray, n_genes: int, tokens: np.ndarray) -> None:
    """Choose genes at random, as many as there are tokens, with counts or without."""
    k, items = tokens.shape[1], np.empty(n_genes, np.int32)
    for i in range(len(starts)):
        for gene in range(n_genes):
            items[gene] = ~gene
        bring_to_front(items, n_genes, k, word(starts[i], CHOICE))
        put(items, k, tokens, i, 0)


@compiled
def choose_weighted(starts: np.ndarray, weights: np.ndarray, tokens: np.ndarray) -> None:
    """Choose genes one after the other with probabilities as their weights, none twice.

    Those that would be first of clocks that ring at rates as the weights: Efraimidis, Spirakis (2006),
    https://doi.org/10.1016/j.ipl.2005.11.003.
    """
    n, k = len(weights), tokens.shape[1]
    items, keys = np.empty(n, np.int32), np.empty(n, np.uint64)
    for i in range(len(starts)):
        start = word(starts[i], CHOICE)
        for gene in range(n):
            bits = word(start, gene)
            items[gene] = ~gene
            keys[gene] = sortable(weights[gene] / -math.log(1.0 - unit(bits)), bits)
        largest_to_front(keys, items, n, k)
        put(items, k, tokens, i, 0)


@compiled
def shuffle(starts: np.ndarray, tokens: np.ndarray, sizes: np.ndarray) -> None:
    """Bring the tokens of each cell into random order."""
    for i in range(len(starts)):
        start = word(starts[i], ORDER)
        for at in range(sizes[i] - 1, 0, -1):
            other = below(word(start, at), at + 1)
            tokens[i, at], tokens[i, other] = tokens[i, other], tokens[i, at]


@compiled
def find_entries(offsets: np.ndarray, genes: np.ndarray, n_genes: int, tokens: np.ndarray, sizes: np.ndarray) -> None:
    """Turn tokens that are genes into those of the cell's entries, where it has them."""
    entries = np.full(n_genes, -1, np.int32)
    for i in range(len(sizes)):
        for j in range(offsets[i], offsets[i + 1]):
            entries[genes[j]] = j
        for k in range(sizes[i]):
            if tokens[i, k] < 0 and entries[~tokens[i, k]] >= 0:
                tokens[i, k] = entries[~tokens[i, k]]
        for j in range(offsets[i], offsets[i + 1]):
            entries[genes[j]] = -1


# ---- what a token holds


@compiled
def fill(
    tokens: np.ndarray,
    sizes: np.ndarray,
    genes: np.ndarray,
    seen: np.ndarray,
    wanted: np.ndarray,
    chosen: np.ndarray,
    values: np.ndarray,
    counts: np.ndarray,
    present: np.ndarray,
) -> None:
    """Write gene (`chosen`), counts seen (`values`) and counts to be predicted of every token, 0 where it is absent."""
    for i in range(len(sizes)):
        for k in range(sizes[i]):
            token = tokens[i, k]
            if token >= 0:
                chosen[i, k], values[i, k], counts[i, k] = genes[token], seen[token], wanted[token]
            else:
                chosen[i, k], values[i, k], counts[i, k] = ~token, 0, 0
            present[i, k] = True
        for k in range(sizes[i], chosen.shape[1]):
            chosen[i, k], values[i, k], counts[i, k], present[i, k] = 0, 0, 0, False


@compiled
def number_up_to(edges: np.ndarray, value: float, with_equal: bool) -> int:
    """How many of the ascending edges are below a value, or equal to it where these count."""
    low, high = 0, len(edges)
    while low < high:
        middle = (low + high) // 2
        if edges[middle] < value or (with_equal and edges[middle] == value):
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def bin_by_edges(
    sizes: np.ndarray, values: np.ndarray, factors: np.ndarray, edges: np.ndarray, binned: np.ndarray
) -> None:
    """Write the bin of log1p(value * factor of the cell): from 1 on; `binned` is left 0 for no counts."""
    for i in range(len(sizes)):
        for k in range(sizes[i]):
            if values[i, k] > 0:
                binned[i, k] = 1 + number_up_to(edges, math.log1p(np.float64(values[i, k] * factors[i])), True)


@compiled
def quantiles_of(ordered: np.ndarray, shares: np.ndarray, quantiles: np.ndarray) -> None:
    """Write quantiles of sorted values, digit for digit as `numpy.quantile` does (method "linear")."""
    last = len(ordered) - 1
    for q in range(len(shares)):
        place = last * shares[q]
        at = min(math.floor(place), last)
        low, high, part = np.float64(ordered[at]), np.float64(ordered[min(at + 1, last)]), place - at
        quantiles[q] = low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part)


@compiled
def bin_by_cell(
    starts: np.ndarray,
    purpose: int,
    offsets: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    sizes: np.ndarray,
    chosen: np.ndarray,
    values: np.ndarray,
    binned: np.ndarray,
) -> None:
    """Write the bin of each value among the quantiles of all counts above 0 of its cell: from 1 on.

    `binned` is left 0 for no counts. A value between edges that are equal to it gets one of their bins at random, as
    in scGPT (`preprocess._digitize`, https://github.com/bowang-lab/scGPT/blob/main/scgpt/preprocess.py). `shares` are
    those of the quantiles.
    """
    own, edges = np.empty(longest(offsets), np.float32), np.empty(len(shares), np.float64)
    for i in range(len(starts)):
        n = 0
        for j in range(offsets[i], offsets[i + 1]):
            if counts[j] > 0:
                own[n] = counts[j]
                n += 1
        if n == 0:
            continue
        quantiles_of(np.sort(own[:n]), shares, edges)
        start = word(starts[i], purpose)
        for k in range(sizes[i]):
            if values[i, k] > 0:
                left = number_up_to(edges, values[i, k], True)
                right = number_up_to(edges, values[i, k], False)
                u = unit(word(start, chosen[i, k]))
                binned[i, k] = math.ceil(u * (right - left) + left)


@compiled
def rank(sizes: np.ndarray, chosen: np.ndarray, values: np.ndarray, weights: np.ndarray, ranked: np.ndarray) -> None:
    """Write the position of each token in descending order of value times the gene's weight, equals as they come."""
    for i in range(len(sizes)):
        n = sizes[i]
        keys = np.empty(n, np.uint64)
        for k in range(n):
            keys[k] = sortable(values[i, k] * weights[chosen[i, k]], np.uint64(n - 1 - k))
        keys.sort()
        for k in range(n):
            ranked[i, n - 1 - np.int64(keys[k] & _LOW)] = n - 1 - k


@compiled
def mask(
    starts: np.ndarray,
    shares: np.ndarray,
    sizes: np.ndarray,
    mixes: bool,
    of_genes: bool,
    n_genes: int,
    chosen: np.ndarray,
    values: np.ndarray,
    hidden: np.ndarray,
    masked: np.ndarray,
) -> None:
    """Hide a share of the tokens, at least one where it is above 0: their genes, or their values.

    With `mixes` (BERT: Devlin et al. 2019, https://aclanthology.org/N19-1423) one in ten of the masked is left as it
    is, and one in ten gets any gene, or the value of a token that is not masked, so that nothing masked is seen.
    """
    items = np.empty(values.shape[1], np.int32)
    for i in range(len(sizes)):
        n = sizes[i]
        for k in range(n):
            items[k] = k
        m = min(n, max(round(shares[i] * n), shares[i] > 0))
        bring_to_front(items, n, m, word(starts[i], MASK))
        start = word(starts[i], MIX)
        for j in range(m):
            k = items[j]
            masked[i, k] = True
            fate = unit(word(start, 2 * k)) if mixes else 0.0
            if fate < 0.8 or (fate < 0.9 and m == n and not of_genes):
                hidden[i, k] = True
                if of_genes:
                    chosen[i, k] = 0
                else:
                    values[i, k] = 0
            elif fate < 0.9:
                bits = word(start, 2 * k + 1)
                if of_genes:
                    chosen[i, k] = below(bits, n_genes)
                else:
                    values[i, k] = values[i, items[m + below(bits, n - m)]]


@compiled
def close_ranks(sizes: np.ndarray, hidden: np.ndarray, values: np.ndarray) -> None:
    """Number the ranks that are seen anew, from 0 on: a gap would tell which rank a hidden token has."""
    numbers = np.empty(values.shape[1], np.int64)
    for i in range(len(sizes)):
        numbers[: sizes[i]] = 0
        for k in range(sizes[i]):
            if not hidden[i, k]:
                numbers[np.int64(values[i, k])] = 1
        seen = 0
        for at in range(sizes[i]):
            seen, numbers[at] = seen + numbers[at], seen
        for k in range(sizes[i]):
            if not hidden[i, k]:
                values[i, k] = numbers[np.int64(values[i, k])]


# ---- a column for each gene


@compiled
def spread(offsets: np.ndarray, genes: np.ndarray, counts: np.ndarray, columns: np.ndarray, dense: np.ndarray) -> None:
    """Write counts into the columns of their genes, `dense` (cells, columns) being 0; a column of -1 is left out."""
    for i in range(len(dense)):
        for j in range(offsets[i], offsets[i + 1]):
            column = columns[genes[j]]
            if column >= 0:
                dense[i, column] = counts[j]


@compiled
def mask_columns(
    starts: np.ndarray, shares: np.ndarray, files: np.ndarray, measured: np.ndarray, masked: np.ndarray
) -> None:
    """Mask a share of the columns that the cell's file measures, at least one where it is above 0.

    `measured` has a row for each file, `files` the row of each cell; `masked` (cells, columns) is False.
    """
    items = np.empty(measured.shape[1], np.int32)
    for i in range(len(starts)):
        n = 0
        for column in range(measured.shape[1]):
            items[n] = column
            n += measured[files[i], column]
        m = min(n, max(round(shares[i] * n), shares[i] > 0))
        bring_to_front(items, n, m, word(starts[i], MASK))
        for k in range(m):
            masked[i, items[k]] = True


# ---- statistics of genes


@compiled
def add_moments(genes: np.ndarray, values: np.ndarray, moments: np.ndarray) -> None:
    """Add values of genes to their number, mean and sum of squared deviations, columns of `moments` (genes, 3).

    Welford (1962), https://doi.org/10.1080/00401706.1962.10490022: nothing is lost where values hardly differ.
    """
    for j in range(len(genes)):
        row = moments[genes[j]]
        row[0] += 1.0
        deviation = values[j] - row[1]
        row[1] += deviation / row[0]
        row[2] += deviation * (values[j] - row[1])


@compiled
def add_to_bins(rows: np.ndarray, bits: np.ndarray, shift: int, lowest: int, bins: np.ndarray) -> None:
    """Count float32 values above 0 by their leading bits: `bits` are theirs as uint32, `shift` of them do not matter.

    `lowest` are the leading bits of the first column of `bins` (rows, n); what is below or above goes into the first
    or last. `rows` are as many as there are values, or one for all.
    """
    last = bins.shape[1] - 1
    for j in range(len(bits)):
        column = np.int64(bits[j] >> np.uint32(shift)) - lowest
        bins[rows[j if len(rows) > 1 else 0], min(max(column, 0), last)] += 1
