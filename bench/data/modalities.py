"""What a feature measures, in the words of 10x Genomics, from the words files use."""

from __future__ import annotations

GENE_EXPRESSION = "Gene Expression"
ANTIBODY_CAPTURE = "Antibody Capture"
PEAKS = "Peaks"

COLUMNS = ("feature_types", "feature_type")
"""Columns of `var` that may hold it; 10x writes the first."""

_WORDS = {
    GENE_EXPRESSION: ("gene expression", "gex", "rna", "gene", "genes", "expression"),
    ANTIBODY_CAPTURE: ("antibody capture", "adt", "protein", "antibody"),
    PEAKS: ("peaks", "peak", "atac", "chromatin accessibility"),
}
_CANONICAL = {word: modality for modality, words in _WORDS.items() for word in words}


def modality(value: str, column: str = "feature_types") -> str:
    """The 10x word for a value of `var[column]`.

    Words that 10x uses for other features (`"CRISPR Guide Capture"`) stay as they are. In a column
    `feature_type` an unknown word is a gene's biotype (CELLxGENE: `"protein_coding"`), hence
    `"Gene Expression"`; so is a missing value.
    """
    known = _CANONICAL.get(value.strip().lower())
    if known:
        return known
    if column == "feature_types" and value.strip() and value.strip().lower() != "nan":
        return value.strip()
    return GENE_EXPRESSION
