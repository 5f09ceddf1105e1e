"""Columns of `obs` that are probably a role, by the names the field gives them."""

from __future__ import annotations

import re
from collections.abc import Collection

USUAL = {
    "cell_type": (
        "celltype", "celltypes", "cell_types", "cell_ontology_class", "cell_type_ontology_term_id", "annotation",
        "annotations", "author_cell_type", "cell_label", "cell_labels", "labels", "label", "final_annotation",
        "celltype_l2", "bulk_labels", "louvain", "leiden", "clusters", "cluster",
    ),
    "batch": ("sample", "sample_id", "orig_ident", "library", "library_id", "batch_id", "tech", "technology", "assay",
              "dataset", "study", "plate", "lane", "run", "site", "sequencing_batch"),
    "donor": ("donor_id", "patient", "patient_id", "individual", "subject", "subject_id", "ind", "donors", "mouse_id"),
    "species": ("organism", "organism_ontology_term_id"),
    "perturbation": ("condition", "perturbations", "guide_identity", "gene_target", "target_gene", "treatment", "stim",
                     "guide", "product_name"),
    "time_point": ("time", "timepoint", "day", "age", "stage", "time_h", "hour", "development_stage"),
}  # fmt: skip
"""Role -> names in lower case with `_` for `.`, `-` and blanks, the likeliest first."""


def suggested(columns: Collection[str], roles: Collection[str]) -> dict[str, list[str]]:
    """Role -> columns that are probably that role, the likeliest first; roles that are taken are left out."""
    spelled = {re.sub(r"[.\-\s]+", "_", column.strip().lower()): column for column in reversed(list(columns))}
    found = {
        role: [spelled[name] for name in usual if name in spelled] for role, usual in USUAL.items() if role not in roles
    }
    return {role: names for role, names in found.items() if names}
