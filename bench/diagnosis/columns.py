"""Findings about columns of `obs`: which look like a role that nobody has named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bench.data.splits import GROUP_ROLES
from bench.diagnosis.case import Case
from bench.diagnosis.finding import Finding, Level, option
from bench.specs import ROLES
from bench.wording import counted

SUBJECT = "columns"
MOST_VALUES = 500

NAMES: Mapping[str, tuple[str, ...]] = {
    "cell_type": (
        "celltype", "celltypes", "celltypeannotation", "celltypelabel", "celltypelabels", "annotation", "annotations",
        "annot", "finalannotation", "authorcelltype", "celltypemajor", "celltypefine", "celltypecoarse", "celltypel1",
        "celltypel2", "predictedcelltype", "majorityvoting", "seuratannotations", "labels", "label", "celllabel",
        "assignedcluster", "cellontologyclass", "freeannotation", "bulklabels", "subtype", "cellsubtype", "clusters",
        "cluster", "seuratclusters", "louvain", "leiden", "identity", "ident",
    ),
    "batch": (
        "batches", "batchid", "sample", "sampleid", "samplename", "samples", "library", "libraryid", "origident",
        "tech", "technology", "chemistry", "assay", "protocol", "platform", "run", "lane", "gemgroup", "channel",
        "plate", "dataset", "study", "experiment", "site", "replicate",
    ),
    "donor": (
        "donors", "donorid", "patient", "patientid", "individual", "individualid", "subject", "subjectid",
        "participant", "mouse", "mouseid", "animal", "animalid", "person", "origident",
    ),
    "species": ("organism", "speciesname"),
    "perturbation": (
        "perturbations", "perturb", "condition", "treatment", "stim", "stimulus", "drug", "compound", "guide",
        "guideid", "guideidentity", "sgrna", "gene", "target", "targetgene", "genotype",
    ),
    "time_point": ("timepoint", "time", "day", "days", "hour", "hours", "stage", "timeh"),
    "split": ("split", "partition", "subset"),
}  # fmt: skip
"""Role -> names its column goes by, lower-case letters and digits only, best first."""

WORDS = {"split": frozenset({"train", "val", "test"})}
"""Role -> the only values it takes; other roles take any."""

CLUSTERS = frozenset({"clusters", "cluster", "seuratclusters", "louvain", "leiden", "assignedcluster"})
"""Names of clusterings: as labels they reward a model for repeating one."""

_LABELS = re.compile("celltype|annot")
"""What other names of columns of labels hold: `final_celltype`, `annotation_v2`."""
_BESIDES = re.compile("ontology|score|prob|conf|color|id$")
"""What names of columns hold that only go with labels."""


def roles(case: Case) -> list[Finding]:
    """Which role is read from which column."""
    if not case.spec.roles:
        return [Finding("note", SUBJECT, "no column of obs has a role yet")]
    said = ", ".join(f"{role} = obs[{column!r}]" for role, column in case.spec.roles.items())
    return [Finding("ok", SUBJECT, said)]


def suggestions(case: Case) -> list[Finding]:
    """Columns that look like a role that is missing, or that has a single value."""
    taken = set(case.spec.roles.values())
    found = []
    for role in ROLES:
        # one donor or one type is often the truth about a file: another column is offered for batches only
        if len({value for value in case.obs.get(role, ()) if value is not None}) > (role == "batch"):
            continue
        columns = [column for column in candidates(case, role) if column not in taken]
        if columns:
            found.append(_suggestion(case, role, columns))
            taken.add(columns[0])
    return found


def _suggestion(case: Case, role: str, columns: list[str]) -> Finding:
    best = columns[0]
    text = f"obs[{best!r}] ({counted(case.raw.obs[best].nunique(), 'value')}) looks like {role}: {ROLES[role]}"
    if role == "cell_type" and _plain(best) in CLUSTERS:
        text += "; but a clustering as labels rewards whoever clusters the same way"
    if len(columns) > 1:
        text += f" (also: {', '.join(columns[1:4])})"
    level: Level = "warning" if role in ("cell_type", *GROUP_ROLES) and role not in case.spec.roles else "note"
    return Finding(level, SUBJECT, text, option("--obs", f"{role}={best}"))


def candidates(case: Case, role: str) -> list[str]:
    """Columns of a name that the role goes by, best first, whose values could be those of the role."""
    obs = case.raw.obs
    most = min(MOST_VALUES, len(obs) / 2)
    likely = [column for column in named_like(map(str, obs.columns), role) if 2 <= _n_values(obs[column]) <= most]
    return [c for c in likely if role not in WORDS or WORDS[role] >= {str(value) for value in obs[c].dropna().unique()}]


def named_like(columns: Iterable[str], role: str) -> list[str]:
    """Columns of a name that the role goes by, best first."""
    ranked = [(rank, column) for column in columns if (rank := _rank(_plain(column), role)) is not None]
    return [column for _, column in sorted(ranked, key=lambda pair: pair[0])]


def _rank(name: str, role: str) -> float | None:
    """How good a name is for a role, the best being 0; None where it is none."""
    names = NAMES.get(role, ())
    if name in names:
        return names.index(name)
    if role == "cell_type" and _LABELS.search(name) and not _BESIDES.search(name):
        return names.index("clusters") - 0.5  # better than any clustering
    return None


def _n_values(column: object) -> int:
    try:
        return int(column.nunique())  # type: ignore[attr-defined]
    except TypeError:  # lists and the like
        return 0


def _plain(column: object) -> str:
    return re.sub(r"[\W_]+", "", str(column).lower())
