"""The one reader of JSON that may come from anybody: of limited depth, and checked by type.

What is read never ends in anything but a value or a `ValueError`, whatever the text holds.
Standard library only.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

DEPTH = 32  # brackets within brackets; nothing of this program's needs more than five
DIGITS = 19  # of a whole number, as in 64 bits; a longer one counts as a number with a fraction
_PLAIN = (str, int, float, bool, NoneType)
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
# A string, even an unfinished one, matches at its first quote: one pass, whatever the text.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.?)*(?:"|\Z)|[\[\]{}]', re.DOTALL)
# No name or text of ours has these: the end of a C string, and halves of a character. (Those from
# \udc80 to \udcff stand for the bytes of a file name that is not UTF-8.)
_NO_TEXT = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
T = TypeVar("T")


def parse(text: str | bytes) -> Any:
    """What a JSON text holds. Raises `ValueError` if it is damaged or nested too deeply.

    >>> parse('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    _check_depth(text)
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError as error:  # called from deep inside a program
        raise ValueError("brackets are nested too deeply") from error


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Like `parse`, but a `ValueError` unless the text holds an object."""
    return take(parse(text), dict[str, Any])


def take(value: Any, kind: Any, name: str = "it") -> Any:
    """The value, if it is of that type. Else a `ValueError` that says what ``name`` must be.

    Types are those that JSON can hold, unions of them, and lists, tuples and dictionaries of them;
    numbers are finite.

    >>> take([1, 2], list[int])
    [1, 2]
    """
    if not fits(value, kind):
        raise ValueError(f"{name} must be {_in_words(kind)}, not {_short(value)}")
    return value


def build(kind: type[T], values: Any, **ready: Any) -> T:
    """A dataclass from an object, whose values are checked against the types of its fields.

    ``ready`` are fields that the caller has read. Raises `ValueError` for a value of another type,
    an unknown key or a missing one, and what the dataclass itself raises.
    """
    assert is_dataclass(kind)
    given = take(values, dict[str, Any], "a description")
    hints = get_type_hints(kind)
    names = [each.name for each in fields(kind)]
    for name, value in given.items():
        if name not in names:
            raise ValueError(f"unknown key {_short(name)}")
        if name not in ready:
            take(value, hints[name], f"'{name}'")
    try:
        return kind(**{**given, **ready})
    except TypeError as error:  # a key without a default is missing
        raise ValueError(str(error)) from error


def fits(value: Any, kind: Any) -> bool:
    """Whether a value from JSON is of that type; see `take`."""
    if kind is Any:
        return True
    if kind in _PLAIN:
        return _fits_plain(value, kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner)
    if origin is list:
        return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
    if origin is tuple:
        fixed = isinstance(value, list) and len(value) == len(inner)
        return fixed and all(map(fits, value, inner))
    if origin is dict:
        return isinstance(value, dict) and all(
            fits(key, str) and fits(each, inner[1]) for key, each in value.items()
        )
    raise TypeError(f"JSON has no {kind}")


def _fits_plain(value: Any, kind: Any) -> bool:
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    if kind is str:
        return isinstance(value, str) and not _NO_TEXT.search(value)
    return type(value) is kind


def _check_depth(text: str) -> None:
    """Count brackets outside of strings; quickly, where there are too few of them to matter."""
    if text.count("[") + text.count("{") <= DEPTH:
        return
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEPTH:
            raise ValueError("brackets are nested too deeply")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS else float(digits)


def _in_words(kind: Any) -> str:
    if isinstance(kind, type) and kind in _WORDS:
        return _WORDS[kind]
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_in_words(each) for each in get_args(kind))
    return {dict: "an object", list: "a list", tuple: "a list"}.get(get_origin(kind), "null")


def _short(value: Any) -> str:
    shown = repr(value) if isinstance(value, _PLAIN) else type(value).__name__
    return shown if len(shown) <= 60 else f"{shown[:40]}..."
