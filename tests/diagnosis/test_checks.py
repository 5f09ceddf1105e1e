"""Each check finds its own trouble in data that is otherwise healthy, with numbers and with what mends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.diagnosis.patients import GENES, IDS, found, grave, healthy

from bench.diagnosis import groups

Change = Callable[[ad.AnnData], Any]


def test_healthy_data_has_nothing_but_what_is_well() -> None:
    findings = found(healthy())
    assert {finding.level for finding in findings} == {"ok"}
    assert {"cells", "counts", "genes", "columns", "labels", "groups", "size"} == {f.subject for f in findings}


# --- counts ------------------------------------------------------------------------------------------


def normalised(data: ad.AnnData) -> None:
    totals = np.asarray(data.X.sum(axis=1)).ravel()
    data.X = sparse.csr_matrix(sparse.diags(1e4 / totals) @ data.X)


def logged(data: ad.AnnData) -> None:
    normalised(data)
    data.X = data.X.log1p()


def scaled(data: ad.AnnData) -> None:
    logged(data)
    dense = data.X.toarray()
    data.X = (dense - dense.mean(axis=0)) / dense.std(axis=0)


def logged_with_counts(data: ad.AnnData) -> None:
    data.layers["counts"] = data.X.copy()
    logged(data)


def other_counts_in_a_layer(data: ad.AnnData) -> None:
    data.layers["same"], data.layers["unspliced"] = data.X.copy(), data.X * 2


def logged_with_two_layers(data: ad.AnnData) -> None:
    data.layers["few"], data.layers["many"] = data.X.copy(), data.X * 2
    logged(data)


def negative_and_missing(data: ad.AnnData) -> None:
    data.X[5, 9], data.X[7, 2] = -3, np.nan


def dense(data: ad.AnnData) -> None:
    data.X = data.X.toarray() * (np.arange(GENES) % 4 == 0)


def binary(data: ad.AnnData) -> None:
    data.X.data[:] = 1


def one_fractional_batch(data: ad.AnnData) -> None:
    data.X = sparse.csr_matrix(data.X.toarray() * np.where(data.obs["batch"] == "a", 1, 0.7)[:, None])


# --- genes -------------------------------------------------------------------------------------------


def duplicate_genes(data: ad.AnnData) -> None:
    data.var_names = ["GENE1", "GENE1", *data.var_names[2:]]


def shared_ids(data: ad.AnnData) -> None:
    data.var["ensembl_id"] = [IDS[1], *IDS[1:]]


def date_names(data: ad.AnnData) -> None:
    data.var_names = ["1-Mar", "2-Sep", *data.var_names[2:]]


def mouse_ids(data: ad.AnnData) -> None:
    data.var["ensembl_id"] = [f"ENSMUSG{i:011d}" for i in range(GENES)]


def numbered_genes(data: ad.AnnData) -> None:
    data.var["hugo"] = list(data.var_names)
    data.var_names = [str(i) for i in range(GENES)]


def names_of_both_kinds(data: ad.AnnData) -> None:
    data.var_names = [*IDS[:30], *data.var_names[30:]]


def ids_in_an_odd_column(data: ad.AnnData) -> None:
    data.var = data.var.rename(columns={"ensembl_id": "key"})


def silent_gene(data: ad.AnnData) -> None:
    data.X[:, 3] = 0


def antibodies(data: ad.AnnData) -> None:
    data.var["feature_types"] = ["Gene Expression"] * 50 + ["Antibody Capture"] * 10


def two_genomes(data: ad.AnnData) -> None:
    data.var["ensembl_id"] = [*IDS[:30], *(f"ENSMUSG{i:011d}" for i in range(30))]


def two_prefixes(data: ad.AnnData) -> None:
    data.var = pd.DataFrame(index=[f"GRCh38_GENE{i}" if i % 2 else f"mm10___Gene{i}" for i in range(GENES)])


def cells_of_two_species(data: ad.AnnData) -> None:
    data.obs["species"] = np.resize(["human", "mouse"], data.n_obs)


# --- cells -------------------------------------------------------------------------------------------


def repeated_names(data: ad.AnnData) -> None:
    data.obs_names = ["cell1", "cell1", *data.obs_names[2:]]


def empty_cells(data: ad.AnnData) -> None:
    data.X[3] = 0
    data.X[4] = 0


def same_cell_twice(data: ad.AnnData) -> None:
    data.X[10] = data.X[11]


# --- columns, labels ---------------------------------------------------------------------------------


def no_labels(data: ad.AnnData) -> None:
    data.obs = data.obs.rename(columns={"cell_type": "cellType"})


def names_with_blanks(data: ad.AnnData) -> None:
    data.obs = data.obs.rename(columns={"cell_type": "Final cell type"})


def seurat(data: ad.AnnData) -> None:
    clusters_only(data)
    data.obs["seurat_annotations"] = data.obs["leiden"]


def clusters_only(data: ad.AnnData) -> None:
    data.obs = data.obs.rename(columns={"cell_type": "leiden"})


def published_split(data: ad.AnnData) -> None:
    data.obs["partition"] = np.resize(["train", "test"], data.n_obs)


def other_words(data: ad.AnnData) -> None:
    data.obs["subset"] = np.resize(["A", "B"], data.n_obs)


def samples_only(data: ad.AnnData) -> None:
    data.obs = data.obs.rename(columns={"batch": "orig.ident", "donor": "patient"})


def unlabelled(data: ad.AnnData) -> None:
    data.obs["cell_type"] = data.obs["cell_type"].where(np.arange(data.n_obs) > 9)


def one_type(data: ad.AnnData) -> None:
    data.obs["cell_type"] = "T"


def rare_type(data: ad.AnnData) -> None:
    data.obs["cell_type"] = ["rare", "rare", *data.obs["cell_type"][2:]]


def unknown_type(data: ad.AnnData) -> None:
    data.obs["cell_type"] = np.where(data.obs["cell_type"] == "NK", "Unknown", data.obs["cell_type"])


def clusters_as_labels(data: ad.AnnData) -> None:
    data.obs["cell_type"] = data.obs["cell_type"].map({"T": "0", "B": "1", "NK": "2"})


def two_spellings(data: ad.AnnData) -> None:
    data.obs["cell_type"] = ["t ", *data.obs["cell_type"][1:]]


def names_as_labels(data: ad.AnnData) -> None:
    data.obs["cell_type"] = list(data.obs_names)


def mixed_labels(data: ad.AnnData) -> None:
    data.obs["cell_type"] = pd.Series([1.5, *data.obs["cell_type"][1:]], index=data.obs_names, dtype=object)


# --- groups ------------------------------------------------------------------------------------------


def no_groups(data: ad.AnnData) -> None:
    data.obs = data.obs[["cell_type"]]


def two_donors(data: ad.AnnData) -> None:
    data.obs["donor"] = data.obs["batch"]


def label_is_batch(data: ad.AnnData) -> None:
    data.obs["batch"] = data.obs["cell_type"].map({"T": "x", "B": "y", "NK": "z"})
    del data.obs["donor"]


def label_in_one_batch(data: ad.AnnData) -> None:
    data.obs["batch"] = np.where(data.obs["cell_type"] == "T", "x", "y")
    del data.obs["donor"]


def lone_type(data: ad.AnnData) -> None:
    data.obs["cell_type"] = np.where(data.obs["donor"] == "d1", "only-d1", data.obs["cell_type"])


def unnamed_donor(data: ad.AnnData) -> None:
    data.obs["donor"] = data.obs["donor"].replace("d4", "unknown")


def missing_batch(data: ad.AnnData) -> None:
    data.obs["batch"] = data.obs["batch"].where(np.arange(data.n_obs) > 3)


Case_ = tuple[Change, str, str, str, str]
CASES: dict[str, Case_] = {
    "normalised": (normalised, "counts", "note", "X looks like counts scaled to 10,000 per cell", ""),
    "normalised is refused": (normalised, "counts", "error", "X is not integer counts (min 0, max", ""),
    "log1p": (logged, "counts", "note", "X looks like log1p of counts scaled to 10,000 per cell", ""),
    "scaled": (scaled, "counts", "note", "X looks like scaled or centred values", ""),
    "counts in a layer": (logged_with_counts, "counts", "note", "counts are in layers['counts']: whole numbers", ""),
    "other counts": (other_counts_in_a_layer, "counts", "note", "layers['unspliced'] holds whole numbers too", ""),
    "two layers": (logged_with_two_layers, "counts", "error", "several layers hold integers", "--layer many"),
    "negative": (negative_and_missing, "counts", "error", "1 negative values (first: cell 'cell5', gene 'GENE9')", ""),
    "NaN": (
        negative_and_missing,
        "counts",
        "error",
        "1 NaN or infinite values (first: cell 'cell7', gene 'GENE2')",
        "",
    ),
    "dense": (dense, "counts", "note", "stored dense", ""),
    "binary": (binary, "counts", "note", "all counts are 0 or 1", ""),
    "fractions in one batch": (
        one_fractional_batch,
        "counts",
        "note",
        "the fractional values are those of b; whole numbers throughout in a",
        "",
    ),
    "duplicate genes": (
        duplicate_genes,
        "genes",
        "error",
        "1 duplicate gene name (GENE1)",
        "--data-set duplicate_genes=sum",
    ),
    "shared ids": (shared_ids, "genes", "note", "1 gene with the Ensembl id of another name", ""),
    "dates": (date_names, "genes", "note", "2 gene names turned into a date by a spreadsheet (1-Mar, 2-Sep)", ""),
    "mouse": (mouse_ids, "genes", "ok", "species: mouse (100 % of the Ensembl ids begin with ENSMUSG)", ""),
    "numbered genes": (
        numbered_genes,
        "genes",
        "warning",
        "are numbers (Entrez ids, or positions) (first: '0'); var['hugo'] holds names",
        "--data-set gene_key=hugo",
    ),
    "both kinds": (
        names_of_both_kinds,
        "genes",
        "warning",
        "named by a mixture: 50 % symbols, 50 % Ensembl ids",
        "",
    ),
    "an unread column": (
        ids_in_an_odd_column,
        "genes",
        "note",
        "var['key'] holds Ensembl ids",
        "--data-set gene_key=key",
    ),
    "silent": (silent_gene, "genes", "ok", "1 feature of 60 without a count in any cell", ""),
    "antibodies": (
        antibodies,
        "genes",
        "note",
        "50 features of Gene Expression; 10 features of Antibody Capture",
        "",
    ),
    "two genomes": (two_genomes, "genes", "warning", "genes of several species: human (50 %", ""),
    "two prefixes": (two_prefixes, "genes", "warning", "mouse (50 % of the names begin with mm10_)", ""),
    "two species of cells": (
        cells_of_two_species,
        "genes",
        "note",
        "cells of several species (120 human and 120 mouse) under genes named as in human",
        "",
    ),
    "repeated names": (repeated_names, "cells", "note", "1 cell name repeated (first: 'cell1')", ""),
    "empty cells": (empty_cells, "cells", "note", "2 cells without counts (first: 'cell3'); dropped", ""),
    "twins": (same_cell_twice, "cells", "warning", "1 cell with exactly the counts of another cell", ""),
    "unlabelled": (
        unlabelled,
        "cells",
        "error",
        "cell_type is missing for 10 cells of 240",
        "--data-set unlabelled=drop",
    ),
    "missing batch": (missing_batch, "cells", "warning", "batch is missing for 4 cells of 240", ""),
    "another name": (
        no_labels,
        "columns",
        "warning",
        "obs['cellType'] (3 values) looks like cell_type",
        "--obs cell_type=cellType",
    ),
    "a name with blanks": (
        names_with_blanks,
        "columns",
        "warning",
        "obs['Final cell type'] (3 values) looks like cell_type",
        "--obs 'cell_type=Final cell type'",
    ),
    "labels before clusters": (
        seurat,
        "columns",
        "warning",
        "obs['seurat_annotations'] (3 values) looks like cell_type: the label of a cell (also: leiden)",
        "--obs cell_type=seurat_annotations",
    ),
    "a clustering": (
        clusters_only,
        "columns",
        "warning",
        "a clustering as labels rewards",
        "--obs cell_type=leiden",
    ),
    "a batch": (
        samples_only,
        "columns",
        "warning",
        "obs['orig.ident'] (2 values) looks like batch",
        "--obs batch=orig.ident",
    ),
    "a donor": (
        samples_only,
        "columns",
        "warning",
        "obs['patient'] (4 values) looks like donor",
        "--obs donor=patient",
    ),
    "a published split": (
        published_split,
        "columns",
        "note",
        "obs['partition'] (2 values) looks like split",
        "--obs split=partition",
    ),
    "one type": (one_type, "labels", "warning", "obs['cell_type'] has one type only ('T')", ""),
    "rare": (rare_type, "labels", "note", "1 type of 4 with fewer than 10 cells: 'rare' (2)", ""),
    "unknown": (unknown_type, "labels", "note", "'Unknown' (", ""),
    "clusters": (clusters_as_labels, "labels", "note", "the labels end in numbers (0, 1, 2): clusters", ""),
    "spelling": (two_spellings, "labels", "warning", "labels that differ in spelling only: 'T' / 't '", ""),
    "names as labels": (names_as_labels, "labels", "warning", "has 240 values for 240 cells: names of cells", ""),
    "mixed labels": (mixed_labels, "columns", "error", "has mixed or unsupported values", ""),
    "no groups": (no_groups, "groups", "warning", "no donors or batches to hold out: random cells", ""),
    "two donors": (two_donors, "groups", "warning", "only 2 donors: a model learns from one", ""),
    "donor is batch": (two_donors, "groups", "note", "batch and donor coincide", ""),
    "label is batch": (label_is_batch, "groups", "warning", "cell_type and batch are the same partition", ""),
    "label in one batch": (label_in_one_batch, "groups", "warning", "every cell_type occurs in one batch only", ""),
    "lone type": (lone_type, "groups", "note", "1 type of 4 in one donor only (only-d1): unseen in training", ""),
    "unnamed donor": (unnamed_donor, "groups", "warning", "'unknown' (60 cells) is held out and trained on like", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_trouble_is_found(name: str) -> None:
    change, subject, level, text, mend = CASES[name]
    data = healthy()
    change(data)
    matching = [f for f in found(data) if f.subject == subject and f.level == level and text in f.text]
    assert matching, [f for f in found(data) if f.subject == subject]
    assert matching[0].mend == mend


HARMLESS = (logged_with_counts, dense, binary, shared_ids, date_names, mouse_ids, silent_gene, antibodies)


@pytest.mark.parametrize("change", HARMLESS, ids=lambda change: change.__name__)
def test_what_does_no_harm_is_not_called_grave(change: Change) -> None:
    data = healthy()
    change(data)
    assert grave(found(data)) == []


def test_a_split_is_told_by_its_words() -> None:
    data = healthy()
    other_words(data)
    assert not [f for f in found(data) if "looks like split" in f.text]


def test_two_faults_of_the_counts_are_two_findings() -> None:
    data = healthy()
    negative_and_missing(data)
    assert len([f for f in found(data) if f.level == "error"]) == 2


def test_advice_that_was_followed_is_not_given_again() -> None:
    data = healthy()
    duplicate_genes(data)
    unlabelled(data)
    options = {"duplicate_genes": "sum", "unlabelled": "drop"}
    assert grave(found(data, options=options)) == []


def test_signs_tell_labels_apart() -> None:
    data = healthy()
    data.obs["cell_type"] = data.obs["cell_type"].map({"T": "CD4+", "B": "CD4-", "NK": "NK"})
    assert grave(found(data)) == []


def test_association_is_none_or_full_at_its_ends() -> None:
    assert groups.cramers_v(np.array([[10, 10], [20, 20]])) == pytest.approx(0)
    assert groups.cramers_v(np.array([[10, 0, 0], [0, 20, 0], [0, 0, 5]])) == pytest.approx(1)
    assert groups.cramers_v(np.array([[10, 20, 30]])) == 0


def test_the_cross_table_leaves_out_what_is_missing() -> None:
    first = np.array(["a", "a", "b", None], dtype=object)
    second = np.array(["x", "y", "y", "y"], dtype=object)
    assert groups.table(first, second).tolist() == [[1, 1], [0, 1]]
