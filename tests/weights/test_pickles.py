"""Dictionaries are read as pickle reads them; everything else is refused by name, and nothing of it runs."""

from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BadInput
from bench.weights import pickles
from bench.weights.opcodes import imported

TABLES = [
    "geneformer_ensembl_mapping_dict_gc30M.pkl",
    "geneformer_gene_median_dictionary_gc30M.pkl",
    "geneformer_gene_name_id_dict_gc30M.pkl",
    "geneformer_token_dictionary_gc30M.pkl",
    "geneformer_token_dictionary_gc95M_gc104M.pkl",
    "species_offsets.pkl",
]


class Runs:
    """A pickle that runs a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return bool(left == right)


@pytest.mark.parametrize("name", TABLES)
def test_real_tables_are_read_as_pickle_reads_them(shared: Path, name: str) -> None:
    path = shared / "tables" / name
    assert same(pickles.read(path), pickle.loads(path.read_bytes()))


@pytest.mark.parametrize("name", ["toy_starts.pkl", "toy_shapes_dict.pkl"])
def test_real_arrays_are_read_as_pickle_reads_them(shared: Path, name: str) -> None:
    path = shared / "fixtures" / "uce" / "upstream_out" / name
    assert same(pickles.read(path), pickle.loads(path.read_bytes()))


def test_pandas_is_refused_by_name(shared: Path) -> None:
    with pytest.raises(BadInput, match=r"refused: toy_chroms.pkl contains code \(pandas.core.series.Series\)"):
        pickles.read(shared / "fixtures" / "uce" / "upstream_out" / "toy_chroms.pkl")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [2.5, None, True, (1, b"\xff", {3})], "c": frozenset({"x"})},
        collections.OrderedDict(a=np.float64(0.5), b=np.int16(-3)),
        {"x": np.arange(6, dtype=">i4").reshape(2, 3), "f": np.asfortranarray(np.ones((2, 3)))},
        {"names": np.array(["TP53", "MYC"]), "none": np.zeros((0, 3), "f4"), "flag": np.bool_(True)},
        [2**100, -1, 1e300, "\N{DNA DOUBLE HELIX}"],
    ],
    ids=["containers", "scalars", "arrays", "texts", "numbers"],
)
def test_every_protocol_is_read(value: Any, protocol: int) -> None:
    assert same(pickles.loads(pickle.dumps(value, protocol), "x.pkl"), value)


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_named_and_never_runs(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"genes": Runs(tmp_path / "ran")}, protocol))
    with pytest.raises(BadInput, match=r"refused: evil.pkl contains code \(posix.system\)"):
        pickles.read(path)
    assert not (tmp_path / "ran").exists()


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = {
    "builtins.eval": (b"cbuiltins\neval\n(V1\ntR.", r"builtins.eval"),
    "dotted name": (b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.", r"builtins.set.__class__"),
    "old class": (b"(V1\nios\nsystem\n.", r"os.system"),
    "extension": (b"\x80\x02\x82\x01.", r"copyreg extension 1"),
    "persistent": (b"Pid\n.", "damaged"),
    "a function as a value": (pickle.dumps({"a": np.dtype})[:-1] + b".", "as a value"),
    "attributes of a stand-in": (b"cbuiltins\nset\n}Va\nI1\nsb.", "damaged"),
    "slots of a stand-in": (b"cbuiltins\nset\n(N}V_make\nI1\nstb.", "refused|damaged"),
    "objects": (pickle.dumps(np.array([{}, []], dtype=object)), "an array of type object"),
    "records": (pickle.dumps(np.zeros(2, [("a", "i4")])), "array of"),
    "dates": (pickle.dumps(np.array(["2020-01-01"], "datetime64[D]")), "an array of type datetime64"),
    "codec": (b"c_codecs\nencode\n(Vx\nVzlib\ntR.", "codec 'zlib'"),
    "large array": (
        b"cnumpy.core.numeric\n_frombuffer\n(Vab\ncnumpy\ndtype\n(Vf8\ntR(I99999999999\ntVC\ntR.",
        "shape does not fit",
    ),
    "room for bytes": (b"cbuiltins\nbytearray\n(I99999999999\ntR.", "makes bytes of something else"),
    "an array in a set": (b"cbuiltins\nset\n((cnumpy\nndarray\n(tRltR.", "damaged"),
    "huge memo": (b"]r" + struct.pack("<I", 2**31 - 1) + b".", "a memo larger than the file"),
    "huge text": (b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.", "not a whole pickle"),
    "unhashable": (b"}]I1\ns.", "damaged"),
    "nested": (pickle.dumps(deep(200)), "nested more than 64 deep"),
    "cut": (pickle.dumps({"a": 1})[:-1], "not a whole pickle"),
    "empty": (b"", "not a whole pickle"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "not a whole pickle"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused(case: str) -> None:
    pickled, said = HOSTILE[case]
    with pytest.raises(BadInput, match=said):
        pickles.loads(pickled, "x.pkl")


def test_a_shared_object_stays_one_and_takes_no_more_time() -> None:
    value: Any = ["x"]
    for _ in range(40):  # 2 to the power of 40 paths lead to it
        value = [value, value]
    read = pickles.loads(pickle.dumps(value), "x.pkl")
    assert read[0] is read[1]


def test_what_stands_in_for_a_pickle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_text("<html>404</html>")
    with pytest.raises(BadInput, match="an HTML page, 16 bytes"):
        pickles.read(path)
    with pytest.raises(BadInput, match="at most 10 bytes"):
        pickles.read(path, max_bytes=10)
    with pytest.raises(BadInput, match="cannot read"):
        pickles.read(tmp_path / "absent.pkl")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(VALUES, st.integers(0, 5))
def test_what_was_written_is_read(value: Any, protocol: int) -> None:
    assert same(pickles.loads(pickle.dumps(value, protocol), "x.pkl"), value)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([o.code for o in pickletools.opcodes]) | st.text(max_size=3), max_size=30))
def test_garbage_is_refused_and_never_crashes(parts: list[str]) -> None:
    pickled = "".join(parts).encode("latin1", "replace")
    for candidate in (pickled, pickled + b"."):
        try:
            pickles.loads(candidate, "x.pkl")
        except BadInput:
            continue


def test_the_scan_sees_what_pickle_would_import() -> None:
    value = [collections.Counter("a"), Path("x"), np.arange(3)]
    for protocol in range(6):
        seen: list[str] = []

        class Spy(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                seen.append(f"{module}.{name}")  # noqa: B023 - used within this turn
                return super().find_class(module, name)

        pickled = pickle.dumps(value, protocol)
        Spy(io.BytesIO(pickled), fix_imports=False).load() if protocol > 2 else Spy(io.BytesIO(pickled)).load()
        scanned = {n.replace("__builtin__", "builtins").replace("copy_reg", "copyreg") for n in imported(pickled)}
        assert scanned == set(seen)
