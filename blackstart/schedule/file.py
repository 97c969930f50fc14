"""Schedules in files: YAML or JSON, and on which line something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from blackstart.model.errors import ConfigError, ScheduleError
from blackstart.schedule.base import Place

T = TypeVar("T")


def load(path: Path, build: Callable[[Any], T]) -> T:
    """`build` from the data in the file; what is wrong is said with file, line and field (ScheduleError)."""
    parse = _format(path)[0]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScheduleError(f"cannot be read: {error}", file=str(path)) from None
    try:
        data = parse(text)
        tree = _tree(text)
        _refuse_twice(tree, ())
        return build(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else None
        raise ScheduleError(f"not YAML: {error.problem}", file=str(path), line=line) from None
    except yaml.YAMLError as error:
        raise ScheduleError(f"not YAML: {error}", file=str(path)) from None
    except json.JSONDecodeError as error:
        raise ScheduleError(f"not JSON: {error.msg}", file=str(path), line=error.lineno) from None
    except ValueError as error:  # a date that is none, a number of thousands of digits
        raise ScheduleError(f"cannot be understood: {error}", file=str(path)) from None
    except RecursionError:
        raise ScheduleError("nested too deeply", file=str(path)) from None
    except ScheduleError as error:
        raise ScheduleError(error.what, error.at, str(path), _line(tree, error.at)) from None


def save(path: Path, data: Any) -> None:
    """Write plain data in the format that the file's name asks for."""
    path.write_text(_format(path)[1](data), encoding="utf-8")


def to_yaml(data: Any) -> str:
    """Block style, in the order given; ASCII, since PyYAML does not read back all that it would write."""
    plain = json.loads(json.dumps(data))  # tuples, enumerations: as JSON has them
    return yaml.safe_dump(plain, sort_keys=False, width=110)


def to_json(data: Any) -> str:
    """Indented."""
    return json.dumps(data, indent=2) + "\n"


_FORMATS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    ".yaml": (yaml.safe_load, to_yaml),
    ".yml": (yaml.safe_load, to_yaml),
    ".json": (json.loads, to_json),
}


def _format(path: Path) -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    try:
        return _FORMATS[path.suffix]
    except KeyError:
        raise ConfigError(
            f"{path}: not a schedule's file; its name must end in {', '.join(_FORMATS)}"
        ) from None


def _tree(text: str) -> yaml.Node | None:
    """The nodes, which know their lines. JSON is YAML too, but for tabs: without them no line is told."""
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _refuse_twice(node: yaml.Node | None, at: Place) -> None:
    """Both parsers take the last of two equal fields in silence: half of what was written would be lost."""
    if isinstance(node, yaml.SequenceNode):
        for n, each in enumerate(node.value):
            _refuse_twice(each, (*at, n))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise ScheduleError("this field is given twice", (*at, name))
            seen.add(name)
            _refuse_twice(value, (*at, name))


def _line(node: yaml.Node | None, at: Place) -> int | None:
    """The line of the field, or of the innermost thing around it that the file has; from 1."""
    line = None
    for part in (*at, None):
        if node is None:
            return line
        line = node.start_mark.line + 1
        inner = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(key.value) == part:
                    line, inner = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            inner = node.value[part]
            line = inner.start_mark.line + 1
        node = inner
    return line
