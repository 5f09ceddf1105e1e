"""Checks of what a plugin says about itself: its spec, its imports, its options."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Protocol

from bench import capabilities, config
from bench.catalogue import catalogue, check, discover, malformed
from bench.conformance.check import Failure, raised, refusal
from bench.errors import BadInput, BenchError
from bench.hookspecs import GROUP
from bench.specs import ROLES, Cap, ModelSpec, TaskSpec, load_target

HEAVY = ("torch", "scanpy", "pandas", "sklearn", "anndata", "numpy", "scipy", "jax", "lightning", "tensorflow")
"""What a plugin module must not import: every command would wait for it."""
IMPORT_SECONDS = 60


class Declared(Protocol):
    """What these checks need of a subject."""

    @property
    def spec(self) -> Any: ...

    @property
    def owner(self) -> str: ...

    def use(self, options: Mapping[str, Any]) -> None: ...


def model_spec(subject: Declared) -> str:
    """The class does what the spec declares, and is made the way the contract says."""
    spec: ModelSpec = subject.spec
    model_class = load_target(spec.target)
    problems = [*_common(spec), *_roles(spec), *_constructor(model_class, spec)]
    for cap in sorted(spec.gives):
        problems += _unlike(model_class, cap)
    if not spec.gives:
        problems.append("it gives nothing; name a capability in gives")
    if spec.fits == "no" and not spec.inductive:
        problems.append("fits='no' and inductive=False contradict each other: what learns nothing embeds any cell")
    _refuse(problems)
    extra = _undeclared(model_class, spec)
    return f"gives {', '.join(sorted(spec.gives))}" + (
        f"; note: has {extra}(), which nothing declared asks for" * bool(extra)
    )


def task_spec(subject: Declared) -> str:
    """The spec is complete and everything it names exists."""
    spec: TaskSpec = subject.spec
    problems = [*_common(spec), *_methods(load_target(spec.target)), *_metrics(spec), *_company(spec)]
    strange = [role for role in (*spec.obs, *spec.shows) if role not in ROLES]
    if strange:
        problems.append(f"{', '.join(strange)} is no role of bench.specs.ROLES; use one in obs and shows")
    _refuse(problems)
    return f"{len(spec.metrics)} metrics, ranked by {spec.main_metric or 'the aggregate'}, floor {spec.floor}"


def light_import(subject: Declared) -> str:
    """Importing the plugin module brings in nothing heavy."""
    module = entry_module(subject.spec)
    code = f"import sys; __import__(sys.argv[1]); print([m for m in {HEAVY!r} if m in sys.modules])"
    try:
        ended = subprocess.run(
            [sys.executable, "-c", code, module], capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"importing {module} takes more than {IMPORT_SECONDS} s") from None
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        raise Failure(f"importing {module} fails: {last[0]}")
    *printed, heavy = ended.stdout.splitlines()
    if heavy != "[]":
        raise Failure(f"importing {module} also imports {heavy[1:-1]}; move these imports into functions")
    if printed:
        raise Failure(f"importing {module} prints {printed[0]!r}; stdout belongs to the answer of a command")
    return f"{module} imports nothing heavy"


def serialisable_config(subject: Declared) -> str:
    """Options survive a record: frozen, plain values, each with a sentence of help."""
    cls: Any = subject.spec.config
    if not cls.__dataclass_params__.frozen:
        raise Failure(f"{cls.__name__} is no frozen dataclass; write @dataclass(frozen=True)")
    default = config.build(cls, {}, subject.owner)
    try:
        again = config.build(cls, json.loads(json.dumps(config.as_dict(default))), subject.owner)
    except (TypeError, BenchError) as error:
        raise Failure(f"its defaults cannot be written to a record and read again: {error}") from None
    if again != default:
        raise Failure(f"its defaults change when written to a record and read again: {again} instead of {default}")
    mute = [row["name"] for row in config.describe(cls) if not row["help"]]
    if mute:
        raise Failure(
            f"option {', '.join(mute)} has no help; define it with bench.config.option(default, 'a sentence')"
        )
    return f"{len(dataclasses.fields(cls))} options, each with help"


def refused_options(subject: Declared) -> str:
    """A wrong option is refused in one sentence that names it, by the options or by what they are for."""
    cls = subject.spec.config
    _must_refuse(subject, "no_such_option", 1)
    for field in dataclasses.fields(cls):
        _must_refuse(subject, field.name, {"not": "a value"})
        if field.metadata.get("low") is not None:
            _must_refuse(subject, field.name, field.metadata["low"] - 1)
        elif isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
            _must_cope(subject, field.name, -1, "say its bounds with bench.config.option(..., low=...)")
        elif isinstance(field.default, str):
            _must_cope(subject, field.name, "no-such-word", "say what it may be: Literal['this', 'that']")
        if field.metadata.get("high") is not None:
            _must_refuse(subject, field.name, field.metadata["high"] + 1)
    return "unknown names, wrong types and values out of bounds are refused by name"


def entry_module(spec: ModelSpec | TaskSpec) -> str:
    """The module of the entry point that registered a spec."""
    for entry in metadata.entry_points(group=GROUP):
        found = discover([entry])
        shelf = found.models if isinstance(spec, ModelSpec) else found.tasks
        if spec.name in shelf.specs:
            return entry.module
    raise Failure(f"no entry point of group {GROUP!r} registers it")


def _must_refuse(subject: Declared, name: str, value: Any) -> None:
    try:
        built = config.build(subject.spec.config, {name: value}, subject.owner)
    except BadInput as error:
        if name in str(error):
            return
        raise Failure(f"{name}={value!r} is refused without its name: {error}") from None
    except Exception as error:
        raise Failure(
            f"{name}={value!r} {raised(error)}; a check of options raises ValueError with a sentence"
        ) from None
    raise Failure(f"{name}={value!r} is accepted as {built}; say its type and bounds with bench.config.option")


def _must_cope(subject: Declared, name: str, value: Any, advice: str) -> None:
    """A value that no bound forbids: the plugin works with it, or it is refused in one sentence."""
    try:
        refusal(lambda: subject.use({name: value}))
    except Failure as failure:
        raise Failure(f"{name}={value!r} {failure}; {advice}") from None


def _refuse(problems: list[str]) -> None:
    if problems:
        raise Failure("; ".join(problems))


def _common(spec: ModelSpec | TaskSpec) -> list[str]:
    problems = malformed(spec)
    if len(spec.summary) <= 10:
        problems.append("its summary says nothing; write a sentence")
    if not spec.version:
        problems.append("its version is empty; begin with '1'")
    return problems


def _roles(spec: ModelSpec) -> list[str]:
    problems = [f"obs names {role!r}, which is no role of bench.specs.ROLES" for role in spec.obs if role not in ROLES]
    if "cell_type" in spec.obs:
        problems.append("obs names 'cell_type'; declare fits='labels' instead")
    return problems


def _constructor(model_class: Any, spec: ModelSpec) -> list[str]:
    try:
        inspect.signature(model_class).bind(None, weights=None, seed=0, device="cpu")
    except (TypeError, ValueError) as error:
        return [f"{spec.target} cannot be called as Class(config, *, weights, seed, device): {error}"]
    return []


def _asked(cap: Cap) -> dict[str, inspect.Signature]:
    protocol = getattr(capabilities, cap)
    return {n: inspect.signature(m) for n, m in vars(protocol).items() if inspect.isfunction(m) and n[0] != "_"}


def _unlike(model_class: Any, cap: Cap) -> list[str]:
    """What a class lacks of a capability."""
    problems = []
    for name, signature in _asked(cap).items():
        method = getattr(model_class, name, None)
        if not callable(method):
            problems.append(f"it declares {cap} and has no {name}()")
            continue
        arguments = [parameter for parameter in signature.parameters if parameter != "self"]
        bound = isinstance(inspect.getattr_static(model_class, name), (staticmethod, classmethod))
        try:
            inspect.signature(method).bind(*([] if bound else ["self"]), *arguments)
        except TypeError as error:
            problems.append(f"{cap} calls {name}({', '.join(arguments)}), which its {name}() does not take: {error}")
    return problems


def _undeclared(model_class: Any, spec: ModelSpec) -> str:
    """Methods of capabilities that the spec does not declare."""
    declared = {name for cap in spec.gives for name in _asked(cap)}
    known = {name for cap in Cap for name in _asked(cap)}
    return "(), ".join(sorted(name for name in known - declared if callable(getattr(model_class, name, None))))


def _methods(task_class: Any) -> list[str]:
    wanted = ("folds", "split", "sit", "score", "controls")
    problems = [f"its class has no {name}()" for name in wanted if not callable(getattr(task_class, name, None))]
    if "label_aware" not in inspect.signature(getattr(task_class, "split", task_spec)).parameters and not problems:
        problems.append("split() does not take label_aware")
    return problems


def _metrics(spec: TaskSpec) -> list[str]:
    names = [metric.name for metric in spec.metrics]
    problems = [f"metric {name} is declared twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if not spec.floor:
        problems.append("it names no floor; every score needs a negative control beside it")
    if spec.main_metric and spec.main_metric not in names:
        problems.append(f"main_metric {spec.main_metric!r} is none of its metrics")
    if not spec.main_metric and not spec.aggregate:
        problems.append("it has neither a main_metric nor an aggregate to be ranked by")
    empty = sorted(set(spec.aggregate) - {metric.group for metric in spec.metrics})
    return problems + [f"aggregate weighs the group {group!r}, which no metric has" for group in empty]


def _company(spec: TaskSpec) -> list[str]:
    """Datasets, baselines and bridges that it names and that do not do."""
    found = catalogue()
    problems = []
    if spec.default_dataset not in found.datasets.specs:
        return [f"default_dataset {spec.default_dataset!r} is not registered"]
    for name in spec.baselines:
        if name not in found.models.specs:
            problems.append(f"baseline {name!r} is not registered")
            continue
        reasons = check(found.model(name), spec, found.dataset(spec.default_dataset))
        problems += [f"baseline {name}: {reason}" for reason in reasons if reason.code != "requires"]
    for bridge in spec.bridges:
        load_target(bridge.target)
        if spec.bridge_option not in config.names(spec.config):
            problems.append(f"bridge_option {spec.bridge_option!r} is no field of its config")
    return problems
