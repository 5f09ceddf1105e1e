"""What others train, as switches of `ours`: the same trunk for all, so that what differs is what is argued about.

Each keeps how cells become tokens and what is learned. Width, layers and optimiser are ours, so that one budget fits
all; where the source does what no switch does, the nearest is taken and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench_ours.config import Architecture, Objective


@dataclass(frozen=True)
class Preset:
    """A named choice of every switch."""

    summary: str
    architecture: Architecture
    objective: Objective


PRESETS: Mapping[str, Preset] = {
    # Theodoris et al. (2023), https://doi.org/10.1038/s41586-023-06139-9. It has no CLS that anything is learned with,
    # so a cell is the mean of its genes.
    "geneformer-like": Preset(
        "the 2,048 genes highest for their median, by rank; masked genes are named",
        Architecture(expression_encoder="rank", depth_token=False, pooling="mean"),
        Objective(
            pretext="mlm", likelihood="id_ce", length=2048, genes="rank_top", mask_low=0.15, mask_high=0.15,
            mask_mix=True,
        ),
    ),
    # Cui et al. (2024), https://doi.org/10.1038/s41592-024-02201-0, and its pretraining code. There a bin is read and
    # predicted as a number, by squared error; here it is a class.
    "scgpt-like": Preset(
        "1,200 genes in 50 bins of the cell; unknown genes see known ones, and CLS alone predicts them too",
        Architecture(expression_encoder="binned", bins="cell", n_bins=50, attention="generative", depth_token=False),
        Objective(pretext="mlm", likelihood="bin_ce", generation=1.0, length=1200, mask_low=0.25, mask_high=0.75),
    ),
    # easwaranramamurthy/cell-type-classification on GitHub: no positions there either, so ranks choose, and are lost.
    "rank-classifier": Preset(
        "the set of the 2,048 genes highest for their median; a small network on CLS names the cell type",
        Architecture(
            expression_encoder="rank", rank_order="none", depth_token=False, labels=("cell_type",), label_hidden=16,
            dropout=0.05,
        ),
        Objective(pretext="none", length=2048, genes="rank_top"),
    ),
    "time-point": Preset(
        "the same of 1,024 genes now and 1,024 of a cell of the time point before",
        Architecture(
            expression_encoder="rank", rank_order="none", depth_token=False, labels=("cell_type",), label_hidden=16,
            dropout=0.05, previous=True,
        ),
        Objective(pretext="none", length=2048, genes="rank_top"),
    ),
    # De Waele et al. (2025), https://doi.org/10.1101/2025.04.02.646825, its last model. There the two views of a cell
    # are the same counts, a tenth of them read, masked twice; here a view also has but three quarters of them.
    "bento-like": Preset(
        "counts by a soft codebook, half of them masked, zero-truncated Poisson; views contrasted, cell types learned",
        Architecture(expression_encoder="soft", depth_token=False, labels=("cell_type",), dropout=0.2),
        Objective(
            pretext="mlm", likelihood="ztp", genes="nonzero_top", mask_low=0.5, mask_high=0.5, contrast="binomial"
        ),
    ),
    # Kalfon et al. (2025), https://doi.org/10.1038/s41467-025-58699-1, without gene positions and the dissimilarity of
    # its cell embeddings; labels by ontology where `ontologies` are given.
    "scprint-like": Preset(
        "a protein embedding per gene; a full cell from one with 60 % of its counts dropped, also from CLS alone",
        Architecture(gene_encoder="table", labels=("cell_type",), label_tokens=True, dropout=0.1),
        Objective(
            pretext="denoise", likelihood="zinb", rate="lib", generation=1.0, length=2200, genes="nonzero_and_zeros",
            keep_low=0.4, keep_high=0.4,
        ),
    ),
}  # fmt: skip
