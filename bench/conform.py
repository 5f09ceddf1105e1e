"""Checks that a value read from JSON has the shape a `TypedDict` promises.

Records may come from anywhere: another version, another machine, a hand. What passes here can be stored
without a further question: text that is not Unicode, integers beyond 64 bits and infinite numbers are
refused too, because JSON can spell them and a database column cannot hold them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

Check = Callable[[Any, str], None]
"""Raises `ValueError` that names the place (second argument) where the value is wrong."""

_INT64 = range(-(2**63), 2**63)
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@cache
def checker(hint: Any) -> Check:
    """The check for a type: a `TypedDict`, `dict`, `list`, `Literal`, union, scalar or `Any`."""
    if hint is Any:
        return _any
    if is_typeddict(hint):
        return _typed_dict(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _optional(args)
    if origin is Literal:
        return _literal(args)
    if origin is dict:
        return _mapping(checker(args[1]))
    if origin is list:
        return _sequence(checker(args[0]))
    return {str: _text, int: _integer, float: _number, bool: _boolean}[hint]


def _typed_dict(hint: Any) -> Check:
    checks = {name: checker(kind) for name, kind in get_type_hints(hint).items()}
    # `__required_keys__` does not see NotRequired behind postponed annotations
    extras = get_type_hints(hint, include_extras=True)
    required = [name for name in sorted(extras) if get_origin(extras[name]) is not NotRequired]

    def check(value: Any, where: str) -> None:
        _expect(dict, value, where)
        for name in required:
            if name not in value:
                raise ValueError(f"{_at(where, name)} is missing")
        for name, item in value.items():
            checks.get(name, _any)(item, _at(where, name))

    return check


def _mapping(item_check: Check) -> Check:
    def check(value: Any, where: str) -> None:
        _expect(dict, value, where)
        for key, item in value.items():
            _text(key, where)
            item_check(item, f"{where}.{key}")

    return check


def _sequence(item_check: Check) -> Check:
    def check(value: Any, where: str) -> None:
        _expect(list, value, where)
        for position, item in enumerate(value):
            item_check(item, f"{where}[{position}]")

    return check


def _optional(args: tuple[Any, ...]) -> Check:
    """A type or None; a record has no other unions."""
    (kind,) = [arg for arg in args if arg is not NoneType]
    item_check = checker(kind)

    def check(value: Any, where: str) -> None:
        if value is not None:
            item_check(value, where)

    return check


def _literal(args: tuple[Any, ...]) -> Check:
    def check(value: Any, where: str) -> None:
        if value not in args:
            raise ValueError(f"{where} is {value!r}, not one of {', '.join(map(str, args))}")

    return check


def _any(value: Any, where: str) -> None:
    if isinstance(value, dict):
        _mapping(_any)(value, where)
    elif isinstance(value, list):
        _sequence(_any)(value, where)
    elif isinstance(value, str):
        _text(value, where)
    elif isinstance(value, float):
        _number(value, where)


def _text(value: Any, where: str) -> None:
    _expect(str, value, where)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{where} has a lone surrogate, which is not Unicode text") from None


def _integer(value: Any, where: str) -> None:
    if isinstance(value, bool):
        raise ValueError(f"{where} is true or false, not a whole number")
    _expect(int, value, where)
    if value not in _INT64:
        raise ValueError(f"{where} does not fit into 64 bits")


def _number(value: Any, where: str) -> None:
    if not isinstance(value, float):
        _integer(value, where)
    elif not math.isfinite(value):
        raise ValueError(f"{where} is not a finite number")


def _boolean(value: Any, where: str) -> None:
    _expect(bool, value, where)


def _expect(kind: type, value: Any, where: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{where or 'the record'} is {type(value).__name__}, not {_NAMES[kind]}")


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
