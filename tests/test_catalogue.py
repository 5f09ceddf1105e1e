"""Discovery: every plugin comes through the same door, and a broken one hurts nobody else."""

from __future__ import annotations

import sys
import types
from importlib import metadata

import pytest

from bench.catalogue import catalogue, check, discover
from bench.errors import BadInput
from bench.hookspecs import API, hookimpl
from bench.specs import BridgeSpec, Cap, DatasetSpec, ModelSpec, NoConfig, TaskSpec


def model(name: str = "m", **changes: object) -> ModelSpec:
    gives = frozenset({Cap.EMBEDS_CELLS})
    return ModelSpec(**{"name": name, "summary": "", "target": "a:b", "gives": gives, **changes})


def task(**changes: object) -> TaskSpec:
    return TaskSpec(
        **{
            "name": "t",
            "summary": "",
            "target": "a:b",
            "needs": Cap.EMBEDS_CELLS,
            "metrics": (),
            "main_metric": "",
            "default_dataset": "d",
            **changes,
        }
    )


def dataset(**changes: object) -> DatasetSpec:
    return DatasetSpec(**{"name": "d", "summary": "", "target": "a:b", "roles": {"cell_type": "c"}, **changes})


def plugin(monkeypatch: pytest.MonkeyPatch, name: str, *specs: object) -> metadata.EntryPoint:
    """An entry point of a module that registers these models."""
    module = types.ModuleType(name)

    @hookimpl
    def bench_models() -> list[object]:
        return list(specs)

    module.bench_models = bench_models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    return metadata.EntryPoint(name, name, "bench")


def test_a_broken_plugin_is_reported_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "needs.py").write_text("import a_module_nobody_has\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "typo.py").write_text(
        "from bench.hookspecs import API, hookimpl\n@hookimpl\ndef bench_modles():\n    return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entries = [metadata.EntryPoint(n, n, "bench") for n in ("exits", "needs", "empty", "typo")]
    found = discover([*entries, plugin(monkeypatch, "good", model("fine")), plugin(monkeypatch, "odd", "not a spec")])
    assert list(found.models.specs) == ["fine"]
    reasons = {b.plugin: b.reason for b in found.broken}
    assert reasons["exits"] == "its module calls sys.exit(3)"
    assert "No module named 'a_module_nobody_has'" in reasons["needs"]
    assert "implements no hook" in reasons["empty"]
    assert "bench_modles" in reasons["typo"]
    assert "returned str where ModelSpec was expected" in reasons["odd"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (model("../../etc/x"), "invalid name"),
        (model("-leading"), "invalid name"),
        (model("x'); drop table s; --"), "invalid name"),
        (model("<img>"), "invalid name"),
        (model("CON"), "Windows keeps it for a device"),
        (model("nul.txt"), "Windows keeps it for a device"),
        (model("x" * 201), "invalid name"),
        (model(target="nowhere"), "must look like 'package.module:Name'"),
        (model(fits="label"), "fits is 'label', not one of 'no', 'cells', 'labels'"),
        (model(config=dict), "config must be a dataclass"),
        (model(config=NoConfig()), "config must be a dataclass: the class, not one of its objects"),
        (model(gives=Cap.EMBEDS_CELLS), "gives must be a frozenset, such as frozenset({...}), not 'EmbedsCells'"),
        (model(gives=frozenset({"embeds"})), "gives holds 'embeds', which is no Cap"),
        (model(obs="batch"), "obs must be a tuple, such as ('this',), not 'batch'"),
    ],
)
def test_a_malformed_spec_is_its_plugin_s_trouble(monkeypatch: pytest.MonkeyPatch, spec: object, reason: str) -> None:
    found = discover([plugin(monkeypatch, "good", model("fine")), plugin(monkeypatch, "odd", model("other"), spec)])
    assert list(found.models.specs) == ["fine"]
    assert reason in found.broken[0].reason


def test_a_hook_that_forgets_the_list_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def bench_models() -> ModelSpec:
        return model("alone")

    module = types.ModuleType("single")
    module.bench_models = bench_models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "single", module)
    found = discover([metadata.EntryPoint("single", "single", "bench")])
    assert found.broken[0].reason == "bench_models() returned ModelSpec; return a list of ModelSpec"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (API + 1, f"targets hook API {API + 1}; this bench has {API}: upgrade bench-harness"),
        (API - 1, f"targets hook API {API - 1}; this bench has {API}: upgrade the plugin"),
        ("1.0", "its BENCH_API is '1.0', not a whole number"),
        (True, "its BENCH_API is 'True', not a whole number"),
    ],
)
def test_a_plugin_for_another_version_of_the_contract_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, wanted: object, reason: str
) -> None:
    entries = [plugin(monkeypatch, "fits", model("fine")), plugin(monkeypatch, "odd", model("other"))]
    monkeypatch.setattr(sys.modules["fits"], "BENCH_API", API, raising=False)
    monkeypatch.setattr(sys.modules["odd"], "BENCH_API", wanted, raising=False)
    found = discover(entries)
    assert list(found.models.specs) == ["fine"]
    assert [(b.plugin, b.reason) for b in found.broken] == [("odd", reason)]


def test_a_name_registered_twice_belongs_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover([plugin(monkeypatch, "one", model("same")), plugin(monkeypatch, "two", model("same"))])
    with pytest.raises(BadInput, match="'same' is registered by both one and two"):
        found.model("same")
    assert list(found.models) == []
    assert found.troubles() == ["model 'same' is registered by both one and two; uninstall one of them."]


def test_an_unknown_name_gets_the_nearest_and_the_list() -> None:
    said = r"unknown model 'pcaa'\. Did you mean 'pca'\? Known: .*hvg.*`bench list models`"
    with pytest.raises(BadInput, match=said):
        catalogue().model("pcaa")


def test_a_triple_that_fits_has_no_reasons() -> None:
    assert check(model(), task(obs=("cell_type",)), dataset()) == []


def test_all_reasons_are_given_at_once() -> None:
    unfit = model(
        gives=frozenset({Cap.EMBEDS_GENES}),
        inductive=False,
        obs=("donor",),
        species=frozenset({"human"}),
        requires=("a-distribution-nobody-has>=1", "numpy>=999"),
    )
    demanding = task(obs=("batch",), holds_out=True, modalities=frozenset({"Peaks"}))
    reasons = check(unfit, demanding, dataset(species="mouse"))
    assert [r.code for r in reasons] == [
        "capability",
        "transductive",
        "shown",
        "roles",
        "modalities",
        "species",
        "requires",
        "requires",
    ]
    assert "pip install 'numpy>=999'" in str(reasons[-1])


def test_a_bridge_makes_a_model_fit() -> None:
    bridge = BridgeSpec("logreg", "", Cap.EMBEDS_CELLS, "a:b")
    bridged = task(needs=Cap.PREDICTS_LABELS, bridges=(bridge,))
    assert check(model(), bridged, dataset()) == []
    assert [r.code for r in check(model(), bridged, dataset(), bridge="knn")] == ["capability"]
