"""Tables of gene embeddings: what is read, what is refused, and that genes find their rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.training.folder import read_card, read_state
from bench_ours.gene_table import GeneTable

ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)
NAMES = ["CD4", "CD8A", "MS4A1", "LYZ"]


def written(path: Path, table: pd.DataFrame, **options: Any) -> Path:
    table.to_parquet(path, **options)
    return path


def test_names_may_be_a_column_an_index_or_the_names_of_tensors(tmp_path: Path) -> None:
    numbers = pd.DataFrame(ROWS, columns=["a", "b"])
    save_file(dict(zip(NAMES, ROWS, strict=True)), tmp_path / "t.safetensors")
    tables = [
        GeneTable.read(written(tmp_path / "column.parquet", numbers.assign(symbol=NAMES))),
        GeneTable.read(written(tmp_path / "index.parquet", numbers.set_axis(NAMES))),
        GeneTable.read(tmp_path / "t.safetensors"),
    ]
    for table in tables:
        found, rows, left_out = table.shared(Vocabulary("symbol", ("LYZ", "CD4")))
        assert found == Vocabulary("symbol", ("LYZ", "CD4"))
        assert rows.tolist() == [[6, 7], [0, 1]]
        assert rows.dtype == np.float32
        assert left_out == ""


def test_genes_that_it_lacks_are_left_out_and_named(tmp_path: Path) -> None:
    table = GeneTable.read(written(tmp_path / "t.parquet", pd.DataFrame(ROWS, index=NAMES)))
    found, rows, left_out = table.shared(Vocabulary("symbol", ("A1BG", "CD4", "LYZ", "XIST")))
    assert found.names == ("CD4", "LYZ")
    assert rows.tolist() == [[0, 1], [6, 7]]
    assert left_out == "2 genes left out that gene_table t.parquet lacks: A1BG, XIST."


def test_genes_are_found_by_their_other_names(tmp_path: Path) -> None:
    """Embeddings of proteins go by symbols, files of cells by Ensembl ids."""
    table = GeneTable.read(written(tmp_path / "t.parquet", pd.DataFrame(ROWS, index=NAMES)))
    ids = tuple(f"ENSG{k:011d}" for k in range(3))
    found, rows, _ = table.shared(Vocabulary("ensembl", ids, ("LYZ", "", "CD8A")))
    assert found.names == (ids[0], ids[2])
    assert rows.tolist() == [[6, 7], [2, 3]]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pd.DataFrame(ROWS), "does not name its genes; add a column called ensembl or symbol"),
        (pd.DataFrame(ROWS, index=["a", "b", "a", "c"]), "names a gene twice"),
        (pd.DataFrame(ROWS, index=NAMES).assign(kind="protein"), "column 'kind' holds no numbers"),
        (pd.DataFrame(np.where(ROWS > 6, np.nan, ROWS), index=NAMES), "missing or infinite"),
        (pd.DataFrame(index=NAMES), "holds no numbers"),
    ],
)
def test_what_is_no_table_is_refused(table: pd.DataFrame, reason: str, tmp_path: Path) -> None:
    table.columns = table.columns.astype(str)
    with pytest.raises(BadInput, match=reason):
        GeneTable.read(written(tmp_path / "t.parquet", table))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("<html>")
    save_file({"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)}, tmp_path / "t.safetensors")
    for name, reason in {
        "t.parquet": "cannot read gene_table",
        "none.parquet": "cannot read gene_table",
        "t.safetensors": "one vector per gene, all of one width",
        "t.csv": "must end in .parquet or .safetensors",
    }.items():
        with pytest.raises(BadInput, match=reason):
            GeneTable.read(tmp_path / name)


def test_a_table_of_other_names_is_refused(tmp_path: Path) -> None:
    table = GeneTable.read(written(tmp_path / "t.parquet", pd.DataFrame(ROWS, index=NAMES)))
    with pytest.raises(BadInput, match=r"has none of the 2 genes of the data \(ENSG1 and 1 more\); its first is 'CD4'"):
        table.shared(Vocabulary("ensembl", ("ENSG1", "ENSG2")))


def test_a_network_is_trained_on_the_genes_of_its_table(
    pretrain: Callable[..., Path], blood_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import anndata as ad

    names = list(ad.read_h5ad(blood_file, backed="r").var_names)
    rows = np.random.default_rng(0).standard_normal((len(names) - 3, 4)).astype(np.float32)
    path = written(tmp_path / "esm2.parquet", pd.DataFrame(rows, index=names[3:]).rename(columns=str))
    with pytest.raises(BadInput, match=r"name it with model\.gene_table=FILE"):
        pretrain({"model.gene_encoder": "table"})
    folder = pretrain({"model.gene_encoder": "table", "model.gene_table": str(path)})
    assert (
        f"3 genes left out that gene_table esm2.parquet lacks: {', '.join(sorted(names[:3]))}."
        in capsys.readouterr().err
    )
    vocabulary, state = read_card(folder, ("ours",)).vocabulary, read_state(folder)
    assert set(vocabulary.names) == set(names[3:])
    assert np.array_equal(state["encoder.genes.table"][vocabulary.names.index(names[10])], rows[7])
