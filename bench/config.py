"""Typed configuration: a frozen dataclass per model and task, one reader, one builder.

All mistakes of a configuration are reported together, an unknown key with the known ones.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from bench.errors import BadInput, unknown

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def option(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A field of a config dataclass, with the sentence `bench show` prints and its inclusive bounds."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high})


def build(cls: type, values: Mapping[str, Any], owner: str) -> Any:
    """Make a config dataclass from loosely typed values.

    Parameters
    ----------
    cls
        A frozen dataclass; its annotations are the types.
    values
        From a file (typed) or the command line (strings).
    owner
        Whose configuration it is, for messages: `"model pca"`.

    Raises
    ------
    BadInput
        With every mistake at once: unknown keys, wrong types, values out of bounds.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    problems: list[str] = []
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            problems.append(str(unknown(f"option of {owner}:", key, fields)))
            continue
        try:
            given[key] = _in_bounds(_convert(value, hints[key]), fields[key])
        except (TypeError, ValueError, OverflowError) as error:
            problems.append(f"option {key!r} of {owner}: {error}.")
    problems += [
        f"option {name!r} of {owner} must be set."
        for name, f in fields.items()
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if not problems:
        try:
            return cls(**given)
        except ValueError as error:
            problems.append(f"{owner}: {error}")
    raise BadInput("\n".join(problems))


def as_dict(config: Any) -> dict[str, Any]:
    """The configuration with defaults, as JSON-ready data."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(config).items()}


def assignments(pairs: Sequence[str], flag: str) -> dict[str, str]:
    """Turn `["key=value", ...]` into a dict.

    Raises
    ------
    BadInput
        If a pair has no `=` or no key, or a key is given twice with different values.
    """
    result: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        owner, dot, option = key.strip().rpartition(".")  # a prefix is a name and stays as it is
        key = f"{owner}{dot}{option.replace('-', '_')}"
        if not equals or not key:
            raise BadInput(f"{flag} {pair!r} must look like key=value.")
        if result.get(key, value) != value:
            raise BadInput(f"{flag} sets {key!r} twice, to {result[key]!r} and {value!r}; keep one.")
        result[key] = value
    return result


def read(path: Path) -> dict[str, Any]:
    """Read a `.toml` or `.yaml` file of options.

    Raises
    ------
    BadInput
        If the file is missing, of another kind, malformed, or not a table of options.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read config {path}: {error}.") from None
    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
            raise BadInput(f"config {path} is not valid TOML: {str(error)[:300]}.") from None
    if path.suffix in {".yaml", ".yml"}:
        values = _yaml(text, path) or {}
        if isinstance(values, dict):
            return _text_keys(values, path)
        raise BadInput(f"config {path} must be a table of options, not a {type(values).__name__}.")
    raise BadInput(f"config {path} must end in .toml, .yaml or .yml.")


def _yaml(text: str, path: Path) -> Any:
    """Plain values; tags are code, and numbers that YAML reads otherwise than they look are refused."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            """An alias may hold itself, or repeat itself a billion times."""
            if self.check_event(yaml.events.AliasEvent):
                problem = "an alias (*name) is not read; write the value out"
                raise yaml.constructor.ConstructorError(None, None, problem, self.peek_event().start_mark)
            return super().compose_node(parent, index)

        def construct_yaml_int(self, node: Any) -> int:
            """YAML 1.1 reads 010 as 8 and 1:30 as 90."""
            number = super().construct_yaml_int(node)
            if re.match(r"[-+]?0[0-9_]", node.value) or ":" in node.value:
                problem = f"{node.value} means {number} in YAML; write {number}, or quote it"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
            return number

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader with more refusals
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        shown = text.splitlines()[line].strip()[:80]
        problem = str(error.problem).replace("could not determine a constructor for the tag", "code is not read:")
        raise BadInput(f"config {path}, line {line + 1} ({shown}): {problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"config {path} is not valid YAML: {' '.join(str(error).split())[:300]}.") from None


def _text_keys(values: dict[Any, Any], path: Path) -> dict[str, Any]:
    """The same table; YAML allows keys of any kind, options have names."""
    for key, value in values.items():
        if not isinstance(key, str):
            raise BadInput(f"config {path}: the key {key!r} is a {type(key).__name__}, not a name; quote it.")
        if isinstance(value, dict):
            _text_keys(value, path)
    return values


def names(cls: type) -> set[str]:
    """Names of the options."""
    return {f.name for f in dataclasses.fields(cls)}


def describe(cls: type, chosen: Any = None) -> list[dict[str, str]]:
    """Name, type, default and help of every option, for `bench show`; with `chosen`, its values are the defaults."""
    hints = typing.get_type_hints(cls)
    return [
        {
            "name": f.name,
            "type": _type_name(hints[f.name]),
            "default": _shown(getattr(chosen, f.name) if chosen is not None else f.default),
            "help": f.metadata.get("help", ""),
        }
        for f in dataclasses.fields(cls)
    ]


def _shown(default: Any) -> str:
    """A default as the user would write it."""
    if default is dataclasses.MISSING:
        return "required"
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _type_name(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " | ".join("none" if a is type(None) else _type_name(a) for a in args)
    if origin is tuple:
        return f"{_type_name(args[0])}, ..."
    return str(getattr(hint, "__name__", hint))


def _convert(value: Any, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        matches = [a for a in args if a == value or str(a) == str(value)]
        if not matches:
            raise ValueError(f"{value!r} is not one of {', '.join(map(str, args))}")
        return matches[0]
    if origin in (Union, types.UnionType):
        return _convert_union(value, args)
    if origin is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise TypeError(f"{value!r} is not a list")
        return tuple(_convert(item, args[0]) for item in items)
    return _convert_scalar(value, hint)


def _convert_union(value: Any, args: tuple[Any, ...]) -> Any:
    if type(None) in args and (value is None or (isinstance(value, str) and value.lower() in {"none", "null"})):
        return None
    for arg in args:
        if arg is not type(None):
            try:
                return _convert(value, arg)
            except (TypeError, ValueError, OverflowError):
                continue
    raise ValueError(f"{value!r} is not {_type_name(Union[args])}")  # noqa: UP007 - args are only known here


def _convert_scalar(value: Any, hint: type) -> Any:
    if hint is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _number(value, int)
    elif hint is float:
        if isinstance(value, str):
            return _number(value, float)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif hint is str:
        if isinstance(value, str):
            return value
        raise TypeError(f"{value!r} is a {type(value).__name__}, not text; quote it")
    raise TypeError(f"{value!r} is not {_type_name(hint)}")


def _number(text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is not {kind.__name__}") from None


def _in_bounds(value: Any, field: dataclasses.Field[Any]) -> Any:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            if not math.isfinite(item):
                raise ValueError(f"{item} is not a number to work with")
            if low is not None and item < low:
                raise ValueError(f"{item} is below {low}")
            if high is not None and item > high:
                raise ValueError(f"{item} is above {high}")
    return value
