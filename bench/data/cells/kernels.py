"""Every compiled loop of loading, in one file: numba's cache notices changes of a function's own file only.

Arrays that come from a store are read where it says they hold something, also where the store is damaged: what it
says is compared with their sizes first. All arrays are one-dimensional and contiguous.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)
_ROUNDS = 12


@njit(cache=True, nogil=True)
def mix(word: np.uint64) -> np.uint64:
    """A bijection of uint64 that spreads every bit over all: the finaliser of splitmix64.

    Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, https://doi.org/10.1145/2714064.2660195,
    with the constants of https://prng.di.unimi.it/splitmix64.c.
    """
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return word ^ (word >> _31)


# ---- which cells: order and keys


@njit(cache=True, nogil=True)
def keys_of(cells: np.ndarray, epoch: int, repeats: np.ndarray, keys: np.ndarray) -> None:
    """Write uint64 keys: those of one epoch and repeat differ between any two cells, mix being a bijection.

    `repeats` is as long as `cells`, or of length 1 for all.
    """
    of_epoch = mix(np.uint64(epoch) + _GOLDEN)
    for i in range(len(cells)):
        repeat = np.uint64(repeats[i if len(repeats) > 1 else 0])
        keys[i] = mix(mix(of_epoch + repeat * _GOLDEN) + np.uint64(cells[i]) * _GOLDEN)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


# ---- statistics of genes


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def add_to_bins(rows: np.ndarray, bits: np.ndarray, shift: int, lowest: int, bins: np.ndarray) -> None:
    """Count float32 values above 0 by their leading bits: `bits` are theirs as uint32, `shift` of them do not matter.

    `lowest` are the leading bits of the first column of `bins` (rows, n); what is below or above goes into the first
    or last. `rows` are as many as there are values, or one for all.
    """
    last = bins.shape[1] - 1
    for j in range(len(bits)):
        column = np.int64(bits[j] >> np.uint32(shift)) - lowest
        bins[rows[j if len(rows) > 1 else 0], min(max(column, 0), last)] += 1
