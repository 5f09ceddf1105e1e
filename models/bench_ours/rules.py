"""Which switches of `ours` go together: everything that cannot, with the reason, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.data.cells.options import EXPRESSED_ONLY, GeneChoice
from bench.errors import BadInput
from bench_ours.config import Architecture, Likelihood, Objective, Shape, heads

TRUNCATED: frozenset[Likelihood] = frozenset({"ztp", "ztnb"})
"""Of counts that are at least 1."""
COUNTS: frozenset[Likelihood] = TRUNCATED | {"poisson", "nb", "zinb"}
ONTOLOGY_FILES = (".obo", ".tsv")


def check(architecture: Architecture, objective: Objective) -> None:
    """Refuse a combination that cannot be trained, or whose loss would not be of what it says.

    Raises
    ------
    BadInput
        With every reason, one a line.
    """
    found = [reason.format(a=architecture, o=objective) for wrong, reason in RULES if wrong(architecture, objective)]
    found += _columns(architecture, objective)
    if found:
        raise BadInput("\n".join(found))


def divides(shape: Shape) -> bool:
    """Whether each head gets as much of a token as the others."""
    return shape.width % shape.heads == 0


def _scores(o: Objective) -> bool:
    """Whether the likelihood is used."""
    return o.pretext != "none" or o.generation > 0


def _reads_depth(a: Architecture) -> bool:
    return a.expression_encoder in ("continuous", "soft") and a.scale == "depth"


def _has_zeros(genes: GeneChoice) -> bool:
    return genes not in EXPRESSED_ONLY


def _learns(a: Architecture, o: Objective) -> bool:
    return bool(heads(o)) or (len(a.labels) > 0 and o.label_weight > 0)


Rule = tuple[Callable[[Architecture, Objective], bool], str]
RULES: tuple[Rule, ...] = (
    # the network
    (
        lambda a, o: not divides(a.shape),
        "width={a.shape.width} cannot be shared out to heads={a.shape.heads}; make it a multiple.",
    ),
    (
        lambda a, o: a.gene_residual and a.gene_encoder != "table",
        "gene_residual adds to a table, but gene_encoder={a.gene_encoder} is learned as it is; leave it out.",
    ),
    (
        lambda a, o: a.gene_table != "" and a.gene_encoder != "table",
        "gene_table={a.gene_table} is of gene_encoder=table, but gene_encoder={a.gene_encoder}; set both, or none.",
    ),
    (
        lambda a, o: a.attention == "generative" and o.pretext != "mlm",
        "attention=generative keeps hidden genes from being seen, but pretext={o.pretext} hides none; "
        "take mlm, or attention=full.",
    ),
    # what is learned
    (
        lambda a, o: not _learns(a, o),
        "nothing is learned: every loss is off; give pretext, generation, contrast or labels a weight.",
    ),
    (
        lambda a, o: o.likelihood in TRUNCATED and o.pretext in ("mcv", "denoise"),
        "likelihood={o.likelihood} is of counts that are at least 1, but with pretext={o.pretext} a gene is chosen by "
        "other counts than those predicted, which may be 0; take poisson, nb or zinb.",
    ),
    (
        lambda a, o: _scores(o) and o.likelihood in TRUNCATED and _has_zeros(o.genes),
        "likelihood={o.likelihood} is of counts that are at least 1, but genes={o.genes} chooses genes without counts; "
        "take nonzero_random or nonzero_top, or poisson, nb or zinb.",
    ),
    (
        lambda a, o: _scores(o) and o.likelihood == "bin_ce" and a.expression_encoder != "binned",
        "likelihood=bin_ce predicts bins, but expression_encoder={a.expression_encoder} has none; take binned.",
    ),
    (
        lambda a, o: _scores(o) and o.likelihood == "rank_ce" and a.expression_encoder != "rank",
        "likelihood=rank_ce predicts ranks, but expression_encoder={a.expression_encoder} has none; take rank.",
    ),
    (
        lambda a, o: _scores(o) and o.likelihood in ("rank_ce", "id_ce") and o.pretext != "mlm",
        "likelihood={o.likelihood} is of what is masked, but pretext={o.pretext} masks nothing; take mlm.",
    ),
    (
        lambda a, o: o.likelihood == "id_ce" and o.pretext == "mlm" and _has_zeros(o.genes),
        "likelihood=id_ce names a gene by its expression, but genes={o.genes} chooses genes without any, which are all "
        "alike; take rank_top, nonzero_top or nonzero_random.",
    ),
    (
        lambda a, o: o.likelihood == "id_ce" and o.generation > 0,
        "generation predicts the expression of a gene that is named, likelihood=id_ce names it; set generation=0.",
    ),
    (
        lambda a, o: _scores(o) and o.rate != "free" and o.likelihood not in COUNTS,
        "rate={o.rate} makes a rate of counts, but likelihood={o.likelihood} has none; take rate=free.",
    ),
    # what is hidden and chosen
    (
        lambda a, o: a.expression_encoder == "rank" and _has_zeros(o.genes),
        "expression_encoder=rank orders genes by their counts, but genes={o.genes} chooses genes without any; "
        "take rank_top, nonzero_top or nonzero_random.",
    ),
    (
        lambda a, o: o.contrast == "genes" and _has_zeros(o.genes),
        "contrast=genes leaves half of the genes out of each view, and genes={o.genes} would read them as genes "
        "without counts; take nonzero_random, or another contrast.",
    ),
    (lambda a, o: o.mask_low > o.mask_high, "mask_low={o.mask_low} is above mask_high={o.mask_high}; swap them."),
    (lambda a, o: o.keep_low > o.keep_high, "keep_low={o.keep_low} is above keep_high={o.keep_high}; swap them."),
    (lambda a, o: o.view_low > o.view_high, "view_low={o.view_low} is above view_high={o.view_high}; swap them."),
    (
        lambda a, o: o.pretext == "mlm" and o.mask_high == 0,
        "pretext=mlm with mask_high=0 masks nothing; raise it, or take pretext=none.",
    ),
    (
        lambda a, o: o.mask_mix and o.pretext != "mlm",
        "mask_mix says how genes are masked, but pretext={o.pretext} masks none; leave it out.",
    ),
    # two time points
    (
        lambda a, o: a.previous and o.length % 2 == 1,
        "length={o.length} cannot be halved between two time points; make it even.",
    ),
    (
        lambda a, o: a.previous and _reads_depth(a),
        "scale=depth divides by the counts of the cell, and those of the previous time point are not given; "
        "take scale=raw, or expression_encoder=binned or rank.",
    ),
)


def _columns(a: Architecture, o: Objective) -> Iterator[str]:
    """What is wrong with columns of obs and their ontologies."""
    for name, columns in (("covariates", a.covariates), ("labels", a.labels)):
        for column in sorted({column for column in columns if columns.count(column) > 1}):
            yield f"{name} name column {column!r} twice; name it once."
    for column in sorted(set(a.covariates) & set(a.labels)):
        yield f"column {column!r} is both a covariate, which is seen, and a label; choose one."
    known = [ontology.partition("=")[0] for ontology in o.ontologies]
    for ontology, column in zip(o.ontologies, known, strict=True):
        if "=" not in ontology or Path(ontology).suffix not in ONTOLOGY_FILES:
            yield f"ontology {ontology!r} must look like column=FILE, with a file .obo or .tsv."
        elif column not in a.labels:
            yield f"the ontology of {column!r} is of no label; name the column in labels, or leave the ontology out."
        elif known.count(column) > 1:
            yield f"column {column!r} has two ontologies; give one."
