"""TOML sets: files stacked within a modality, paired between modalities, nothing joined by position."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data import canonical
from bench.data.identity import dataset_identity
from bench.data.sets import describe_set
from bench.errors import BadInput


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def write(path: Path, cells: str, genes: list[str], start: int = 1, **parts: Any) -> Path:
    """A file whose counts are different in every cell and gene."""
    counts = np.arange(start, start + len(cells) * len(genes), dtype=np.float32).reshape(len(cells), len(genes))
    parts.setdefault("obs", pd.DataFrame({"ct": ["T"] * len(cells)}, index=list(cells)))
    parts.setdefault("X", sparse.csr_matrix(counts))
    layers = parts.pop("layers", {})
    data = ad.AnnData(**parts, var=pd.DataFrame(index=genes))
    for name in layers:
        data.layers[name] = sparse.csr_matrix(counts)
    data.write_h5ad(path)
    return path


def toml(folder: Path, text: str) -> Path:
    path = folder / "set.toml"
    path.write_text(text)
    return path


STACK = """
name = "two runs"
study = "doe"
[roles]
cell_type = "ct"
[[files]]
path = "a.h5ad"
obs = { batch = "A" }
[[files]]
path = "b.h5ad"
obs = { batch = "B" }
"""
PAIR = """
[[files]]
path = "rna.h5ad"
modality = "Gene Expression"
[[files]]
path = "adt.h5ad"
modality = "ADT"
"""


def test_files_of_one_modality_are_stacked_over_the_genes_they_share(tmp_path: Path) -> None:
    write(tmp_path / "a.h5ad", "xy", ["g1", "g2", "g3"])
    write(tmp_path / "b.h5ad", "uvw", ["g3", "g0", "g1"], start=100)
    spec = describe_set(toml(tmp_path, STACK))
    assert (spec.name, spec.study, spec.n_obs) == ("two-runs", "doe", 5)
    assert spec.roles == {"cell_type": "ct", "batch": "batch"}
    data = canonical.load(spec)
    assert list(data.obs_names) == list("xyuvw")
    assert list(data.var_names) == ["g1", "g3"]
    assert data.obs["batch"].tolist() == list("AABBB")
    assert data.X.toarray().tolist() == [[1, 3], [4, 6], [102, 100], [105, 103], [108, 106]]
    assert any("the 2 that all 2 files share" in notice for notice in data.uns["notices"])


def test_cells_of_one_name_in_two_files_are_two_cells(tmp_path: Path) -> None:
    write(tmp_path / "a.h5ad", "xy", ["g1"])
    write(tmp_path / "b.h5ad", "yz", ["g1"])
    data = canonical.load(describe_set(toml(tmp_path, STACK)))
    assert list(data.obs_names) == ["x-1", "y-1", "y-2", "z-2"]
    assert any("cell names repeat between files" in notice for notice in data.uns["notices"])


def test_counts_in_a_layer_or_in_raw_are_found_in_a_set_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.h5ad", "xy", ["g1", "g2"], X=np.full((2, 2), 0.5), layers={"counts": None})
    assert canonical.load(describe_set(toml(tmp_path, STACK))).X[0].toarray().tolist() == [[1, 2]]
    for name in ("a", "b"):
        data = ad.read_h5ad(tmp_path / f"{name}.h5ad")
        frozen = data.copy()
        frozen.X = frozen.layers.pop("counts")
        data.raw = frozen
        del data.layers["counts"]
        data.write_h5ad(tmp_path / f"{name}.h5ad")
    data = canonical.load(describe_set(toml(tmp_path, 'layer = "raw"\n' + STACK)))
    assert data.X.toarray().tolist() == [[1, 2], [3, 4]] * 2


def test_modalities_are_paired_by_cell_name_whatever_their_order(tmp_path: Path) -> None:
    write(tmp_path / "rna.h5ad", "xyz", ["CD3", "CD4"])
    write(tmp_path / "adt.h5ad", "zxy", ["CD4"], start=100)
    spec = describe_set(toml(tmp_path, PAIR))
    assert spec.modalities == {"Gene Expression", "Antibody Capture"}
    assert spec.n_obs == 3
    data = canonical.load(spec)
    assert list(data.obs_names) == list("xyz")
    assert data.var["feature_types"].to_dict() == {
        "CD3": "Gene Expression",
        "CD4": "Gene Expression",
        "CD4 (Antibody Capture)": "Antibody Capture",
    }
    assert data.X.toarray().tolist() == [[1, 2, 101], [3, 4, 102], [5, 6, 100]]


def test_stacked_runs_of_two_modalities_stay_paired_when_barcodes_repeat(tmp_path: Path) -> None:
    write(tmp_path / "r1.h5ad", "xy", ["g"], start=1)
    write(tmp_path / "r2.h5ad", "xy", ["g"], start=11)
    write(tmp_path / "p1.h5ad", "yx", ["p"], start=101)
    write(tmp_path / "p2.h5ad", "yx", ["p"], start=111)
    files = [("r1", "RNA"), ("r2", "RNA"), ("p1", "ADT"), ("p2", "ADT")]
    text = "".join(f'[[files]]\npath = "{name}.h5ad"\nmodality = "{kind}"\n' for name, kind in files)
    data = canonical.load(describe_set(toml(tmp_path, text)))
    assert data.X.toarray().tolist() == [[1, 102], [2, 101], [11, 112], [12, 111]]


def test_cells_that_only_one_modality_has_are_counted_and_refused(tmp_path: Path) -> None:
    write(tmp_path / "rna.h5ad", "xyz", ["g"])
    write(tmp_path / "adt.h5ad", "yzuv", ["p"])
    with pytest.raises(BadInput, match="3 of 5 barcodes not shared"):
        canonical.load(describe_set(toml(tmp_path, PAIR)))


def test_files_without_a_common_gene_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.h5ad", "xy", ["g1"])
    write(tmp_path / "b.h5ad", "uv", ["h1"])
    with pytest.raises(BadInput, match="share no gene"):
        canonical.load(describe_set(toml(tmp_path, STACK)))


MAPPED = """
[roles]
cell_type = "ct"
[options]
unlabelled = "drop"
[[files]]
path = "a.h5ad"
map = { ct = "a.tsv" }
[[files]]
path = "b.h5ad"
[files.map.ct]
"T helper" = "T"
platelet = ""
"""


def typed(path: Path, cells: str, types: list[Any]) -> Path:
    return write(path, cells, ["g1"], obs=pd.DataFrame({"ct": pd.Categorical(types)}, index=list(cells)))


def test_types_of_two_studies_are_given_common_names(tmp_path: Path) -> None:
    typed(tmp_path / "a.h5ad", "uvwx", ["CD4", "CD8", "debris", None])
    typed(tmp_path / "b.h5ad", "yz", ["T helper", "platelet"])
    (tmp_path / "a.tsv").write_text("label\tbecomes\twhy\nCD4\tT\t\nCD8\tT\t\ndebris\t\tno counterpart\n")
    data = canonical.load(describe_set(toml(tmp_path, MAPPED)))
    assert data.obs["cell_type"].to_dict() == {"u": "T", "v": "T", "y": "T"}
    notices = " ".join(data.uns["notices"])
    assert "a.h5ad: 3 values of ct mapped to 1, 1 cell to none." in notices
    assert "3 cells without cell_type dropped" in notices


def test_a_value_is_mapped_as_it_is_spelt_in_the_file(tmp_path: Path) -> None:
    typed(tmp_path / "a.h5ad", "uv", ["CD4 ", "naïve"])
    typed(tmp_path / "b.h5ad", "yz", ["T helper", "platelet"])
    decomposed = unicodedata.normalize("NFD", "naïve")
    (tmp_path / "a.tsv").write_text(f"label\tbecomes\nCD4 \tT\n{decomposed}\t B \n", encoding="utf-8")
    data = canonical.load(describe_set(toml(tmp_path, MAPPED)))
    assert data.obs["cell_type"].to_dict() == {"u": "T", "v": "B", "y": "T"}


def test_cells_that_lost_their_label_are_refused_like_any_others_unless_asked_for(tmp_path: Path) -> None:
    typed(tmp_path / "a.h5ad", "u", ["CD4"])
    typed(tmp_path / "b.h5ad", "yz", ["T helper", "platelet"])
    (tmp_path / "a.tsv").write_text("label\tbecomes\nCD4\tT\n")
    with pytest.raises(BadInput, match=r"missing for 1 cells.*unlabelled=drop"):
        canonical.load(describe_set(toml(tmp_path, MAPPED.replace('unlabelled = "drop"', ""))))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("label\tbecomes\nCD4\tT\nCD88\tT", "unknown value in the map of ct of a.h5ad: 'CD88'. Did you mean 'CD8'"),
        ("label\tbecomes\nCD4\tT", "leaves out 'CD8'; name every value"),
        ("label\tbecomes\nCD4\tT\nCD4\tB\nCD8\tT", "line 3: 'CD4' is there twice"),
        ("label\tbecomes\n\nCD4\tT\nCD4\tB", "line 4: 'CD4' is there twice"),
        ("label\tname\nCD4\tT", "line 2: it needs the columns label and becomes"),
        ("label,becomes\nCD4,T", "line 2: it needs the columns label and becomes"),
        ("label\tbecomes\n", "must be a table of words"),
    ],
)
def test_a_map_that_does_not_fit_its_column_is_refused(tmp_path: Path, table: str, words: str) -> None:
    typed(tmp_path / "a.h5ad", "uv", ["CD4", "CD8"])
    typed(tmp_path / "b.h5ad", "yz", ["T helper", "platelet"])
    (tmp_path / "a.tsv").write_text(table)
    with pytest.raises(BadInput, match=words):
        canonical.load(describe_set(toml(tmp_path, MAPPED)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'", "must name its files"),
        ("files = 3", "must name its files"),
        ("nam = 'x'\n[[files]]\npath = 'a.h5ad'\ncolour = 'red'", "(?s)'nam'.*'name'.*'colour'"),
        ("[[files]]\nmodality = 'RNA'", "'path' of file 1 of set set.toml must be set"),
        ("[[files]]\npath = 'a.h5'", "not found.*Did you mean.*a.h5ad"),
        ("roles = 3\n[[files]]\npath = 'a.h5ad'", "'roles' must be a table"),
        ("[[files]]\npath = 'a.h5ad'\nobs = 'A'", "obs must be a table"),
        ("[[files]]\npath = 'a.h5ad'\nmap = 'a.tsv'", "map must be a table"),
        ("[[files]]\npath = 'a.h5ad'\nmap = { ct = 'a.tsv' }", "not found.*a.tsv"),
        ("[[files]]\npath = 'a.h5ad'\nmap = { ct = { T = 3 } }", "the map of 'ct' in file 1 of set set.toml must be"),
        ("[[files]]\npath = 'a.h5ad'\nmap = { cd = { T = 'T' } }", "obs column of a.h5ad: 'cd'"),
        ("[[files]]\npath = 'a.h5ad'\nobs = { ct = 'T' }\nmap = { ct = { T = 'T' } }", "keep one"),
        ("[roles]\ncelltype = 'ct'\n[[files]]\npath = 'a.h5ad'", "unknown role 'celltype'"),
        ("[roles]\ncell_type = 'cd'\n[[files]]\npath = 'a.h5ad'", "obs column of a.h5ad: 'cd'"),
        ("layer = 'counts'\n[[files]]\npath = 'a.h5ad'", "a.h5ad has no layer 'counts'; it has X"),
        ("[options]\nstrickt = true\n[[files]]\npath = 'a.h5ad'", "'strickt'.*'strict'"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_wrong_set_is_refused_when_planning(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "a.h5ad", "xy", ["g1"])
    with pytest.raises(BadInput, match=words):
        describe_set(toml(tmp_path, text))


def test_a_set_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not found"):
        describe_set(tmp_path / "none.toml")


def test_identity_covers_every_file_and_constant_but_not_the_words_around_them(tmp_path: Path) -> None:
    write(tmp_path / "a.h5ad", "xy", ["g1"])
    other = write(tmp_path / "b.h5ad", "uv", ["g1"])
    path = toml(tmp_path, STACK)
    before = dataset_identity(describe_set(path))
    path.write_text(STACK.replace("two runs", "renamed"))
    assert dataset_identity(describe_set(path)) == before
    path.write_text(STACK.replace('"B"', '"C"'))
    assert dataset_identity(describe_set(path)) != before
    path.write_text(STACK + 'map = { ct = { T = "T" } }')
    mapped = dataset_identity(describe_set(path))
    path.write_text(STACK + 'map = { ct = { T = "B" } }')
    assert len({before, mapped, dataset_identity(describe_set(path))}) == 3
    path.write_text(STACK)
    write(other, "uv", ["g1"], start=50)
    assert dataset_identity(describe_set(path)) != before
